// What a function prints, for tests.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

namespace shoal::tools {

inline std::string PrintedText(const std::function<void(std::FILE*)>& print) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* const file = open_memstream(&text, &size);
  print(file);
  std::fclose(file);
  const std::string printed(text, size);
  std::free(text);
  return printed;
}

}  // namespace shoal::tools
