// The tokenizers of downloaded models: the files of a Hugging Face folder, as they are there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/storage/file.h"
#include "model/tokenizer/pipeline/pipeline_tokenizer.h"
#include "model/tokenizer/tokenizer.h"

namespace shoal::model {

// ---- files ----

// Every file that a tokenizer in a folder may consist of, or that ExportFiles writes.
std::vector<std::string> TokenizerFileNames();

// The tokenizer of a folder, or of one file with its name, without what a job needs of it (special tokens,
// export): what `shoal tokenize` shows. Of an export of ours it is the tokenizer.json. Errors: those of
// ReadTokenizer.
absl::StatusOr<std::unique_ptr<PipelineTokenizer>> ReadPipeline(Env* env, const std::string& path);

// The paths of the files from which ReadTokenizer makes the tokenizer. `path`: a folder, or one file of a
// vocabulary. Of several vocabularies in a folder the first of these counts: sentencepiece.model (what Shoal
// exports), tokenizer.json, vocab.txt, vocab.json with merges.txt. Errors: NOT_FOUND for a path
// that does not exist; INVALID_ARGUMENT that lists these names for a folder without any, and for
// added_tokens.json, which is read nowhere, beside another vocabulary than tokenizer.json.
absl::StatusOr<std::vector<std::string>> TokenizerFilesAt(Env* env, const std::string& path);

// Errors: those of TokenizerFilesAt, of the Env, and of MakePretrainedTokenizer and LoadTokenizer, with the
// path.
absl::StatusOr<std::unique_ptr<Tokenizer>> ReadTokenizer(Env* env, const std::string& path);

// ---- without files ----

// `files`: a vocabulary (tokenizer.json; vocab.txt; vocab.json and merges.txt), and tokenizer_config.json and
// special_tokens_map.json if there are such. Errors: those of the loaders in pipeline/pipeline_files.h;
// INVALID_ARGUMENT for other files, a configuration that is not JSON or asks for what is not supported, and a
// tokenizer that puts more than two special tokens around a text.
absl::StatusOr<std::unique_ptr<Tokenizer>> MakePretrainedTokenizer(std::vector<NamedFile> files);

// Whether `bytes` are those of Tokenizer::bytes() of such a tokenizer, to judge by their beginning.
bool IsPretrainedTokenizer(absl::string_view bytes);
// Safe for any bytes. Errors: INVALID_ARGUMENT.
absl::StatusOr<std::unique_ptr<Tokenizer>> ParsePretrainedTokenizer(absl::string_view bytes);

}  // namespace shoal::model
