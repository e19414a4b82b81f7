// A function that never fuses a multiplication and an addition.
#pragma once

#if defined(__clang__)
#define LOWBIT_NO_CONTRACTION
#else
#define LOWBIT_NO_CONTRACTION __attribute__((noinline, optimize("fp-contract=off")))
#endif
