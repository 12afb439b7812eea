// The command line with wrong input: a clear error, the right exit code, and nothing left running.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";

std::string Write(const TestDir& dir, const std::string& name, const std::string& text) {
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / name, text).ok());
  return dir / name;
}

// Answers each HTTP/2 request with 404, like a web server.
class WebServer {
 public:
  WebServer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE((bind(listener_, any, size) == 0 && listen(listener_, 8) == 0));
    REQUIRE(getsockname(listener_, any, &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~WebServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  int port() const { return port_; }

 private:
  void Run() {
    for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; close(fd)) {
      // SETTINGS; then, once the request has arrived, HEADERS of stream 1 with ":status: 404" from HPACK's
      // table.
      Send(fd, absl::string_view("\0\0\0\4\0\0\0\0\0", 9));
      std::string request;
      char buffer[4096];
      ssize_t count;
      // The client's headers contain this in plain text.
      while (request.find("application/grpc") == request.npos &&
             (count = read(fd, buffer, sizeof(buffer))) > 0)
        request.append(buffer, count);
      Send(fd, absl::string_view("\0\0\1\1\5\0\0\0\1\x8d", 10));
      while (read(fd, buffer, sizeof(buffer)) > 0) {
      }
    }
  }
  static void Send(int fd, absl::string_view bytes) {
    (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  const int listener_;
  int port_ = 0;
  std::thread thread_;
};

// Runs a job like tiny.yaml on other data.
EndedProcess TrainOn(const TestDir& dir, const std::string& tsv) {
  const std::string data = Write(dir, "data.tsv", tsv);
  return TrainIn(dir, {kTiny, "--set", absl::StrCat("data.files=[", data, "]")});
}

TEST_CASE("A job file that is no YAML, or has an unknown field, is refused with file, line and field",
          "[bad input]") {
  const TestDir dir;
  EndedProcess result = TrainIn(dir, {Write(dir, "job.yaml", "name: [unclosed\n")});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("job.yaml"));
  result = TrainIn(dir, {kTiny, "--set", "train.epoch=3"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("train.epoch") && Contains("did you mean 'epochs'"));
  CHECK_FALSE(PosixEnv()->FileExists(dir / "run"));
}

TEST_CASE("A job file that is not there is an error", "[bad input]") {
  const TestDir dir;
  const EndedProcess result = TrainIn(dir, {dir / "none.yaml"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("none.yaml") && Contains("No such file"));
}

TEST_CASE("A wrong command line is refused", "[bad input]") {
  const std::string shoal = Program("tools/shoal/shoal");
  EndedProcess result = RunCommand({shoal, "help"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("unknown command 'help'") && Contains("\nTry `shoal --help`.\n"));
  result = RunCommand({shoal, "trian"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("'trian'") && Contains("did you mean 'train'"));
  result = RunCommand({shoal, "status", "--scheduler", "127.0.0.1"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--scheduler: expected HOST:PORT"));
  CHECK(RunCommand({shoal, "train", kTiny, "--workers", "0"}).ended == "exit status 2");
  CHECK(RunCommand({Program("worker/shoal-worker"), "--scheduler", "nowhere"}).ended == "exit status 2");
  CHECK(RunCommand({shoal, "train", "--help"}).ended == "exit status 0");
}

TEST_CASE("Commands look for the scheduler where it listens by default", "[cli]") {
  for (const std::vector<std::string>& help :
       std::vector<std::vector<std::string>>{{Program("scheduler/shoal-scheduler"), "--help"},
                                             {Program("tools/shoal/shoal"), "jobs", "--help"}}) {
    CHECK_THAT(RunCommand(help).output, Contains("HOST:PORT=127.0.0.1:7070"));
  }
}

TEST_CASE("A wrong value of an environment variable is an error that names it", "[bad input]") {
  const TestDir dir;
  EndedProcess result =
      RunCommand({"/usr/bin/env", "SHOAL_SCHEDULER=nowhere", Program("tools/shoal/shoal"), "jobs"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("expected HOST:PORT") && Contains("got 'nowhere' in SHOAL_SCHEDULER"));
  for (const char* variable : {"SHOAL_ISA", "SHOAL_GEMM"}) {
    result = RunCommand({"/usr/bin/env", absl::StrCat(variable, "=fast"), Program("worker/shoal-worker"),
                         "--scheduler", "127.0.0.1:1", "--work-dir", dir / "work"});
    CHECK(result.ended == "exit status 2");
    CHECK_THAT(result.output, Contains(variable) && Contains("fast"));
  }
}

TEST_CASE("A number that is negative, empty, too large or none is refused, of every command and daemon",
          "[bad input]") {
  const std::string shoal = Program("tools/shoal/shoal"), scheduler = Program("scheduler/shoal-scheduler"),
                    worker = Program("worker/shoal-worker");
  const std::vector<std::vector<std::string>> commands = {
      {shoal, "cancel"},
      {shoal, "logs"},
      {shoal, "export", "--out", "unused"},
      {shoal, "export", "1", "--out", "unused", "--version"},
      {shoal, "predict", "unused", "--top"},
      {shoal, "train", kTiny, "--workers"},
      {shoal, "train", kTiny, "--servers"},
      {shoal, "train", kTiny, "--threads"},
      {scheduler, "--lease-ms"},
      {scheduler, "--heartbeat-ms"},
      {scheduler, "--session-grace-ms"},
      {worker, "--scheduler", "127.0.0.1:1", "--threads"},
      {worker, "--scheduler", "127.0.0.1:1", "--leave-seconds"}};
  for (const std::vector<std::string>& command : commands) {
    for (const char* number : {"-1", "", "1.5", "99999999999999999999"}) {
      std::vector<std::string> arguments = command;
      arguments.push_back(number);
      const EndedProcess result = RunCommand(arguments);
      INFO(command[0] << " " << command.back() << " '" << number << "': " << result.output);
      CHECK(result.ended == "exit status 2");
      CHECK_THAT(result.output, Contains("expected a whole number"));
    }
  }
}

TEST_CASE("A server does not offer workers an address that covers every machine", "[bad input]") {
  const std::string server = Program("server/shoal-server");
  for (const char* flag : {"--listen", "--advertise"}) {
    const EndedProcess result = RunCommand({server, "--scheduler", "127.0.0.1:1", flag, "0.0.0.0:7071"});
    CHECK(result.ended == "exit status 2");
    CHECK_THAT(result.output, Contains(absl::StrCat(flag, " 0.0.0.0:7071")) && Contains("for example"));
  }
}

TEST_CASE("A folder that a daemon can't write to is refused at the start, with flag and path",
          "[bad input]") {
  const TestDir dir;
  const std::string file = Write(dir, "file", "in the way");
  for (const std::string& folder : {JoinPath(file, "work"), file, std::string("/proc")}) {
    for (const char* node : {"worker/shoal-worker", "server/shoal-server"}) {
      const EndedProcess result =
          RunCommand({Program(node), "--scheduler", "127.0.0.1:1", "--work-dir", folder});
      CHECK(result.ended == "exit status 2");
      CHECK_THAT(result.output, Contains(absl::StrCat("--work-dir ", folder, ": can't ")));
    }
    const EndedProcess result =
        RunCommand({Program("scheduler/shoal-scheduler"), "--listen", "127.0.0.1:0", "--state-dir", folder});
    CHECK(result.ended == "exit status 2");
    CHECK_THAT(result.output, Contains(absl::StrCat("--state-dir ", folder, ": can't ")));
  }
}

TEST_CASE("A daemon whose log file is a pipe ends at once and says so, instead of waiting for a reader",
          "[bad input]") {
  const TestDir dir;
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  for (const auto& [daemon, option] :
       {std::pair("scheduler/shoal-scheduler", "--listen"), std::pair("server/shoal-server", "--scheduler"),
        std::pair("worker/shoal-worker", "--scheduler")}) {
    const EndedProcess result =
        RunCommand({Program(daemon), option, "127.0.0.1:1", "--log-file", dir / "pipe"});
    CHECK(result.ended == "exit status 2");
    CHECK_THAT(result.output, Contains(dir / "pipe" + ": it is a pipe; expected a file"));
  }
}

TEST_CASE("A model is not exported to a file, and the scheduler is not asked for it", "[bad input]") {
  const TestDir dir;
  const std::string file = Write(dir, "file", "mine");
  const EndedProcess result = RunCommand({Program("tools/shoal/shoal"), "export", "1", "--out", file});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains(absl::StrCat("--out: ", file, " is not a folder")));
}

TEST_CASE("An empty value does not become the default, nor a relative path one of another machine",
          "[bad input]") {
  const std::string shoal = Program("tools/shoal/shoal");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{shoal, "train", kTiny, "--out", ""},
                                             {shoal, "submit", kTiny, "--resume-from", ""},
                                             {shoal, "submit", kTiny, "--checkpoint-dir", "checkpoints"}}) {
    CHECK(RunCommand(arguments).ended == "exit status 2");
  }
}

// Runs a Bash command line in which $0 is `program`.
EndedProcess Bash(const std::string& program, const std::string& line) {
  return RunCommand({"/bin/bash", "-c", line, program});
}

TEST_CASE("Standard output that can't be written is an error, and a reader that has gone is none",
          "[output]") {
  for (const char* path : {"tools/shoal/shoal", "worker/shoal-worker"}) {
    for (const char* flag : {"--help", "--version"}) {
      INFO(path << " " << flag);
      const EndedProcess full = Bash(Program(path), absl::StrCat("$0 ", flag, " > /dev/full"));
      CHECK(full.ended == "exit status 1");
      CHECK_THAT(full.output, Contains("can't write to standard output: No space left on device"));
      CHECK(Bash(Program(path), absl::StrCat("$0 ", flag, " >&-")).ended == "exit status 1");
      const EndedProcess gone =
          Bash(Program(path), absl::StrCat("exec 3> >(true); wait $!; $0 ", flag, " >&3"));
      CHECK(gone.ended == "exit status 141");
      CHECK(gone.output.empty());
    }
  }
}

TEST_CASE("A folder with a file that no training wrote is refused before anything is written to it",
          "[bad input]") {
  const TestDir dir;
  REQUIRE(PosixEnv()->CreateDirs(dir / "run").ok());
  Write(dir, "run/report.json", "mine");
  const EndedProcess result = TrainIn(dir, {kTiny});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output,
             Contains(absl::StrCat(dir / "run/report.json", " was not written by shoal train")));
  CHECK(PosixEnv()->ListDir(dir / "run").value() == std::vector<std::string>{"report.json"});
  CHECK(PosixEnv()->ReadFile(dir / "run/report.json").value() == "mine");
}

TEST_CASE("A data file that is missing is told once, before anything is started or written", "[bad input]") {
  const TestDir dir;
  const std::string file = dir / "none.tsv";
  const EndedProcess result =
      TrainIn(dir, {kTiny, "--workers", "2", "--set", absl::StrCat("data.files=[", file, "]")});
  CHECK(result.ended == "exit status 1");
  CHECK(result.output ==
        absl::StrCat("shoal: data.files[0]: can't open ", file, ": No such file or directory\n"));
  CHECK_FALSE(PosixEnv()->FileExists(dir / "run"));
}

TEST_CASE("Data files that lack a column fail the job with their names", "[bad input]") {
  const TestDir dir;
  const EndedProcess result = TrainOn(dir, "labels\ttext\na\tsome words\n");
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("there is no column 'label'") && Contains("did you mean 'labels'"));
  const std::vector<std::string> parts = absl::StrSplit(result.output, "there is no column");
  CHECK(parts.size() == 2);  // it is said once
}

TEST_CASE("A model to start from that is not there fails the job with its path and field", "[bad input]") {
  const TestDir dir;
  const std::string job =
      Write(dir, "job.yaml",
            absl::StrCat("name: tuned\ntask: text-classification\ndata: {files: [",
                         AbsolutePath("configs/jobs/tiny.tsv").value(), "], text: text, label: label}\n",
                         "model: {from: none}\ntrain: {epochs: 1}\noptimizer: {learning_rate: 1e-3}\n"));
  const EndedProcess result = TrainIn(dir, {job});
  INFO(result.output);
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("no worker can prepare the job; worker-1 can't take part: model.from: "
                                     "can't open " +
                                     dir / "none/config.json"));
}

TEST_CASE("Data with one class, an empty label, or a label that training lacks, fail the job",
          "[bad input]") {
  std::string one_class = "label\ttext\n";
  for (int i = 0; i < 60; ++i) absl::StrAppend(&one_class, "only\tsome words of example ", i, "\n");
  {
    const TestDir dir;
    const EndedProcess result = TrainOn(dir, one_class);
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("at least 2 different labels"));
  }
  {
    const TestDir dir;
    const EndedProcess result = TrainOn(dir, one_class + "\tan example without a label\n");
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("data.tsv:62") && Contains("label"));
  }
  {
    const TestDir dir;
    const std::string dev = Write(dir, "dev.tsv", "label\ttext\nunheard-of\tsome words\n");
    const auto train = AbsolutePath("configs/jobs/tiny.tsv");
    REQUIRE(train.ok());
    const std::string job =
        Write(dir, "job.yaml",
              absl::StrCat("name: tiny\ntask: text-classification\ndata: {train_files: [", *train,
                           "], validation_files: [", dev, "], text: text, label: label}\n",
                           "tokenizer: {vocab_size: 128}\nmodel: {hidden_size: 32}\ntrain: {epochs: 1}\n",
                           "optimizer: {learning_rate: 1e-3}\n"));
    const EndedProcess result = TrainIn(dir, {job});
    INFO(result.output);
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("dev.tsv:2") && Contains("'unheard-of'"));
  }
}

TEST_CASE("A port in use, and an address that others reach, are refused before anything is written",
          "[bad input]") {
  const TestDir dir;
  TestCluster cluster({0, 0, 1});
  EndedProcess result = RunCommand({Program("scheduler/shoal-scheduler"), "--listen",
                                    cluster.processes().scheduler(), "--state-dir", dir / "state"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("in use") && !Contains("gRPC:"));
  result = RunCommand(
      {Program("scheduler/shoal-scheduler"), "--listen", "0.0.0.0:0", "--state-dir", dir / "state"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("--allow-remote"));
  CHECK_FALSE(PosixEnv()->FileExists(dir / "state"));
}

TEST_CASE("A web server in place of the scheduler is told from one, with its address", "[bad input]") {
  const WebServer server;
  const std::string address = absl::StrCat("127.0.0.1:", server.port());
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"status"}, {"jobs"}, {"logs", "1"}, {"cancel", "1"}, {"submit", kTiny, "--wait"}}) {
    std::vector<std::string> arguments = {Program("tools/shoal/shoal")};
    arguments.insert(arguments.end(), command.begin(), command.end());
    arguments.insert(arguments.end(), {"--scheduler", address});
    const EndedProcess result = RunCommand(arguments);
    INFO(command[0] << ": " << result.output);
    CHECK(result.ended == "exit status 1");
    CHECK_THAT(result.output,
               Contains(absl::StrCat("what answers at ", address, " is not a Shoal scheduler")));
  }
}

}  // namespace
}  // namespace shoal
