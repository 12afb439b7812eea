// Questions about texts in the JSON of SQuAD 1.1 and 2.0 (Rajpurkar et al., 2016, 2018):
//
//   {"data": [{"title": "Normans", "paragraphs": [{"context": "The Normans were ...", "qas": [
//     {"id": "56ddde6b", "question": "Who were they?", "answers": [{"text": "Normans", "answer_start": 4}],
//      "is_impossible": false}]}]}]}
#pragma once

#include "absl/status/status.h"
#include "proto/job.pb.h"
#include "tasks/data/format.h"
#include "tasks/data/label_reader.h"

namespace shoal::tasks {

// A ReadRecords (tasks/data/format.h): a record for each question, with the question in `texts`, the context
// in `pair`, the answers in `labels`, and the title in `group`. "answer_start" counts characters; an answer
// that is not there is looked for at the nearest place. A question that "is_impossible" has no answers; only
// data of 2.0 have that field. Other fields are ignored.
//
// Errors: INVALID_ARGUMENT, with the line for what is not JSON, otherwise with the question, paragraph or
// article, for a field that is missing or has another type; an id that occurs twice; a question without an
// answer that is not impossible, or whose answers are nowhere in its context; an empty question or context.
absl::Status ReadSquad(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                       const AddRecord& add);

}  // namespace shoal::tasks
