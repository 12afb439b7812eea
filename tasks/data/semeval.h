// Sentences with a relation between two marked parts, as at SemEval-2010 task 8 (Hendrickx et al., 2010):
//
//   1   "The <e1>author</e1> of a <e2>book</e2>."      (a tab after the number)
//   Product-Producer(e2,e1)
//   Comment: any number of further lines
//
//   2   ...
#pragma once

#include "absl/status/status.h"
#include "proto/job.pb.h"
#include "tasks/data/format.h"
#include "tasks/data/label_reader.h"

namespace shoal::tasks {

// A ReadRecords (tasks/data/format.h): a record for each sentence, without its quotes; its line is that of
// the number, its `id`. Errors: INVALID_ARGUMENT for a first line without a tab, an empty sentence, or a
// sentence without a line that names the relation, and one that follows another without an
// empty line between them.
absl::Status ReadSemeval(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                         const AddRecord& add);

}  // namespace shoal::tasks
