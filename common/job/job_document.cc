#include "common/job/job_document.h"

#include <sstream>

#include "yaml-cpp/eventhandler.h"

namespace shoal {
namespace {

// Records only where documents start.
class StartFinder : public YAML::EventHandler {
 public:
  YAML::Mark start;

  void OnDocumentStart(const YAML::Mark& mark) override { start = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}
};

}  // namespace

YAML::Node LoadDocument(const std::string& yaml) {
  std::istringstream text(yaml);
  YAML::Parser parser(text);
  StartFinder finder;
  if (parser.HandleNextDocument(finder) && parser.HandleNextDocument(finder)) {
    throw YAML::ParserException(finder.start, "the document has ended before this; expected a single one");
  }
  return YAML::Load(yaml);
}

}  // namespace shoal
