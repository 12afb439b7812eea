#include "common/base/command_line.h"

#include <cstdio>
#include <exception>
#include <sstream>
#include <vector>

#include "common/base/nearest_name.h"

namespace shoal {
namespace {

constexpr int kExitUsage = 2;

// The given subcommand, or the program itself.
const CLI::App& Innermost(const CLI::App& app) {
  const std::vector<CLI::App*> commands = app.get_subcommands();
  return commands.empty() ? app : *commands.back();
}

// "; did you mean '--workers'?" for the first unexpected argument.
std::string Suggestion(const CLI::App& app) {
  const CLI::App& command = Innermost(app);
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const std::string& argument : app.remaining(/*recurse=*/true)) {
    if (argument.rfind("--", 0) == 0 && argument.size() > 2)
      return DidYouMean(argument.substr(0, argument.find('=')), names);
  }
  return "";
}

}  // namespace

std::string NumberProblem(const std::string& text, int64_t min, int64_t max) {
  int64_t number = 0;
  const bool digits = text.find_first_not_of("-0123456789") == std::string::npos;
  if (digits && absl::SimpleAtoi(text, &number) && number >= min && number <= max) return "";
  const std::string range = max == std::numeric_limits<int64_t>::max()
                                ? absl::StrCat("of at least ", min)
                                : absl::StrCat("from ", min, " to ", max);
  return absl::StrCat("expected a whole number ", range, ", got '", text, "'");
}

std::string EmptyProblem(const std::string& text) { return text.empty() ? "expected a value, got ''" : ""; }

std::string RelativeProblem(const std::string& path) {
  return path.rfind('/', 0) == 0 ? "" : absl::StrCat("expected an absolute path, got '", path, "'");
}

int ParseCommandLine(CLI::App* app, int argc, char** argv) {
  try {
    app->parse(argc, argv);
    return -1;
  } catch (const CLI::Success& help) {  // --help, --version
    std::ostringstream text;            // its own flush would lose the reason of an error
    const int code = app->exit(help, text, text);
    std::fputs(text.str().c_str(), stdout);
    return code;
  } catch (const CLI::ParseError& error) {
    const bool extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    const CLI::App& command = Innermost(*app);
    const std::string name =
        &command == app ? app->get_name() : absl::StrCat(app->get_name(), " ", command.get_name());
    std::fprintf(stderr, "%s: %s%s\nTry `%s --help`.\n", app->get_name().c_str(), error.what(),
                 extra ? Suggestion(*app).c_str() : "", name.c_str());
    return kExitUsage;
  }
}

int RunMain(const char* name, int (*run)(int argc, char** argv), int argc, char** argv) noexcept {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
  } catch (...) {
    std::fprintf(stderr, "%s: an unknown exception\n", name);
  }
  return 1;
}

}  // namespace shoal
