// How well a predicted answer agrees with the right ones, as the official scripts of data sets compute it.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tasks/question_answering.pb.h"

namespace shoal::tasks {

struct AnswerScores {
  bool exact = false;
  float f1 = 0;
};

// The best agreement with any of `answers`, of which no one means that "" is right. All texts are valid
// UTF-8.
//   SQUAD_1, SQUAD_2: of words in lower case without punctuation and articles (Rajpurkar et al., 2016, 2018).
//     They differ in answers of which nothing is left then.
//   CMRC: of the longest common part, in Chinese characters and other words, without punctuation (Cui et al.,
//     2019). The script splits what is not Chinese with NLTK, of whose rules only those are here that
//     separate some marks from words; contractions and quotes, for example, stay whole. To no answers, "" is
//     right.
AnswerScores ScoreAnswer(absl::string_view predicted, absl::Span<const std::string> answers,
                         AnswerMeasure measure);

// CMRC where a question is about a text with more Chinese characters than Latin letters; otherwise one of
// SQuAD's.
AnswerMeasure MeasureOf(absl::string_view text, bool may_lack_answer);

}  // namespace shoal::tasks
