// SentencePiece's own segmentation, in a separate process: sentencepiece_reference MODEL < LINES prints the
// ids of each line. Its library can't share a process with ours (README.md).
#include <sentencepiece_processor.h>

#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  sentencepiece::SentencePieceProcessor processor;
  if (argc != 2 || !processor.Load(argv[1]).ok()) return 1;
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<int> ids;
    if (!processor.Encode(line, &ids).ok()) return 1;
    std::cout << processor.bos_id();
    for (int id : ids) std::cout << ' ' << id;
    std::cout << ' ' << processor.eos_id() << '\n';
  }
}
