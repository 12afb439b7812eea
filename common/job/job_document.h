// The one YAML document in a text.
#pragma once

#include <string>

#include "yaml-cpp/yaml.h"

namespace shoal {

// The document's root; null when there is none. Throws YAML::Exception when the text is not valid YAML or
// continues after its first document: only for code that catches it.
//
// YAML::LoadAll can't do it: on a stray bracket yaml-cpp 0.7 returns empty documents endlessly. YAML::Load
// drops what follows the first.
YAML::Node LoadDocument(const std::string& yaml);

}  // namespace shoal
