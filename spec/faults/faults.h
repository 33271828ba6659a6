/*
 * faults.h: what goes wrong in build/faults/halo, which is halo with answers, system calls and
 * allocations that fail when a spec says so. A kind of thing that may fail is counted while it is
 * armed; the Nth one fails, or the Nth and all after it. The specs reach this through FFI.
 *
 *     answer      an operation's, from whatever engine: it is not carried out, and says the fault
 *     call        a system call in an operation's twin, or in a try without a record
 *     allocation  of C: malloc() and its kin
 *     lua         an allocation of the Lua state's
 */
#ifndef SPEC_FAULTS_H
#define SPEC_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#define FAULTS_API        __attribute__((visibility("default")))
#define FAULTS_SHORT      100000 /* no errno: the call is made, for a byte */
#define FAULTS_NONE_MOVED 100001 /* the same: it moves no byte, and says 0 */
#define FAULTS_SWAP       100002 /* the same: before the call two names change places */
#define WRAP(name)        __wrap_##name
#define REAL(name)        __real_##name
#define FAULTS_ANY_OP     (-1)

/* The linker gives these names. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct halo_op;

enum faults_kind { FAULTS_NONE, FAULTS_ANSWER, FAULTS_CALL, FAULTS_ALLOCATION, FAULTS_LUA };

/* One more of that kind: the errno that it fails with, FAULTS_SHORT, or 0. Any thread may ask. */
int faults_next(enum faults_kind kind, int op, const char *where, const char *way);

/* Whether this thread is where system calls count. Returns what it was before. */
bool faults_within(bool within);

/* What the ring's completion of an operation is to say instead of its result: 0 for itself. */
int faults_completion(uint64_t seq);

/* For the Lua state's allocations: see memory.c. */
void faults_watch_instructions(bool watched);

/* Arms one kind: the Nth fails with that errno, `count` of them (negative: all that follow). */
FAULTS_API void faults_arm(int kind, int op, long nth, long count, int error);

/* Ends that. Returns how many there were, failed ones included. */
FAULTS_API long faults_disarm(void);

/* How many have failed since it was armed, and what the latest was, and on which way. */
FAULTS_API long faults_hits(void);
FAULTS_API const char *faults_where(void);
FAULTS_API const char *faults_way(void);

/* Which two names FAULTS_SWAP is about; it removes the first where the other is empty. */
FAULTS_API void faults_set_names(const char *one, const char *other);

/* Whether there is openat2(2); where not, it is no call that counts. */
FAULTS_API void faults_deny_openat2(bool denied);

/* The core's table of operations. */
FAULTS_API int faults_op_count(void);
FAULTS_API const char *faults_op_name(int op);
FAULTS_API bool faults_op_is_on_file(int op);
FAULTS_API bool faults_op_is_lengthy(int op);

#endif
