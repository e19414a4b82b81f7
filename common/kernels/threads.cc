// The limit of threads, set from Python.
#include "parallel.h"

// At most `count` threads from now on; 0: as many as the machine has.
extern "C" void SetThreads(int count) { lowbit::thread_limit() = count; }
