// What a thread is called where a person looks at threads: top -H, perf, gdb.
#pragma once

namespace retort::base {

// Of the calling thread, and of those that it starts; at most 15 characters.
void name_thread(const char* name);

}  // namespace retort::base
