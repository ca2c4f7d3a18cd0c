// What a run did, for people: a page and tables, made from the run folder's summaries and results
// files alone. Parts whose stage has not run are left out with a sentence; a file that is there but
// damaged or newer than this program is an error that names it. No state; safe from any thread.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace retort::report {

// Writes OUT/report.html: one file without any external address, so that it opens offline. Every
// text that comes from a file is escaped; sizes are bounded (long curves are thinned out).
Result<void> write_report(const std::string& out_folder);
// The same page as text.
Result<std::string> report_html(const std::string& out_folder);

// The run in a terminal: headline, key figures, funnel, evaluation, time and cost.
Result<std::string> summary_text(const std::string& out_folder);
// The key figures of several runs side by side, one column a run.
Result<std::string> compare_text(const std::vector<std::string>& out_folders);

}  // namespace retort::report
