/*
 * halo_lua.h: halo inside of a program in C or C++. This is the manual; halo's functions for Lua
 * are in the README.
 *
 *     struct halo_lua *halo;
 *     struct halo_lua_task *task;
 *
 *     if (halo_lua_new(&halo, NULL, NULL) != 0)           a runtime with a Lua state of its own
 *         return 1;
 *     halo_lua_spawn_text(halo, code, length, "=name", &task);
 *     while (halo_lua_step(halo, -1) > 0)                 until no task is alive, or in your loop:
 *         continue;                                       see "the host's loop"
 *     halo_lua_task_results(task, halo_lua_state(halo));  what it returned is on the stack
 *     halo_lua_task_release(task);
 *     halo_lua_close(halo, -1);
 *     halo_lua_free(halo);
 *
 * Order. halo_lua_new() comes first and gives the handle that nearly everything takes. Options are
 * given there. halo_lua_close() ends what runs and closes what is open; afterwards the handle still
 * answers, mostly by HALO_LUA_CLOSED, until halo_lua_free(), or lua_close() where the state is the
 * host's own. Then it is memory that was freed, and so is halo_lua_free()'s handle.
 *
 * Threads. A process may have any number of runtimes, in as many threads. Each belongs to the
 * thread that made it, with its Lua state: another one gets HALO_LUA_WRONG_THREAD, and nothing
 * happens. Only halo_lua_complete(), halo_lua_wake() and halo_lua_interrupt() are for any thread.
 *
 * After fork() a runtime that has begun its first operation is the parent's. In the child its calls
 * are HALO_LUA_FORKED, halo_lua_timeout_ms() is -1, its tokens can be neither made nor completed,
 * and nothing of that reaches the parent. What a task has returned may be asked for, and the
 * runtime closed and freed, by the thread that it belongs to; and another one may be made.
 *
 * Reentrancy. Host functions (what scripts call) and callbacks run within halo_lua_step() or
 * halo_lua_run(). They may spawn, cancel, ask for a status, take results, release. To step, run or
 * close from there is HALO_LUA_BUSY.
 *
 * Errors. A function that returns int returns one of the codes below, which are negative, and
 * halo_lua_message() says more. No function lets a Lua error out, not even when memory is out, but
 * those that say so: they are for host functions, which Lua calls. halo needs a few free places on
 * the stack of the state it is given, as LUA_MINSTACK grants.
 *
 * halo installs no signal handlers. It takes descriptors above 2, and threads where io_uring is not
 * to be had or lacks an operation.
 */
#ifndef HALO_LUA_H
#define HALO_LUA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <lua.h> /* which leaves that to whoever includes it; for luaL_*, C++ takes <lua.hpp> */

#ifndef HALO_API
#define HALO_API __attribute__((visibility("default")))
#endif

/* ---- codes --------------------------------------------------------------------------------- */

enum halo_lua_code {
    HALO_LUA_FAILED = -1,       /* a Lua error, or one of the system's: see the message */
    HALO_LUA_NO_MEMORY = -2,    /* nothing was done, and the runtime can go on */
    HALO_LUA_DEADLOCK = -3,     /* tasks are alive, and nothing will ever wake them */
    HALO_LUA_EXPIRED = -4,      /* max_time_ms is over, and tasks are alive still */
    HALO_LUA_RUNNING = -5,      /* the task has not ended yet */
    HALO_LUA_CANCELLED = -6,    /* the task was cancelled */
    HALO_LUA_CLOSED = -7,       /* halo_lua_close() has been called, or the state is gone */
    HALO_LUA_BUSY = -8,         /* from inside of a step: a host function, a callback */
    HALO_LUA_WRONG_THREAD = -9, /* the runtime belongs to another thread */
    HALO_LUA_INVALID = -10,     /* NULL, an option out of range, too few values on the stack */
    HALO_LUA_FORKED = -11       /* this is a child of fork(), and the runtime its parent's */
};

struct halo_lua;      /* a runtime */
struct halo_lua_task; /* the host's handle of a task */

/* A line for people about a code; never NULL. */
HALO_API const char *halo_lua_describe(int code);

/*
 * What was wrong with the latest call on this runtime that returned HALO_LUA_FAILED, _DEADLOCK,
 * _EXPIRED or _NO_MEMORY: for a deadlock, a line for each task that says what it waits for and
 * where. But not with halo_lua_task_results(), which pushes the task's error. Never NULL; valid
 * until the next call that fails.
 */
HALO_API const char *halo_lua_message(const struct halo_lua *halo);

/* ---- a runtime ----------------------------------------------------------------------------- */

/*
 * Zeroed, they are the defaults; in C++, halo_lua_options options{}. They are copied, but for what
 * user and allocator_data point to. All limits hold for what the host gives as well as for scripts,
 * which can lower some of them by halo.configure() and raise none. What scripts may reach is not
 * among them: see halo_lua_allow(), which says what is wrong with a path.
 */
struct halo_lua_options {
    /* "auto", "ring" or "pool"; NULL: "auto". HALO_ENGINE in the environment goes before it. */
    const char *engine;

    /* ---- limits, 0 being the default ---- */

    /* Files open at once; 65,536. One more is nil, "EMFILE: ...", "EMFILE", as the system says it.
     */
    unsigned max_files;
    /* Operations with the kernel at once; 1,024. One more waits its turn, and is no error. */
    unsigned max_in_flight;
    /* Threads at most, for what io_uring does not do; 32. */
    unsigned pool_threads;
    /* Tasks alive at once; no limit. One more is an error that is raised where it is spawned. */
    unsigned max_tasks;
    /*
     * Bytes that one call may make, at least 262,144; no limit. To ask for more (a read of n bytes,
     * a buffer) raises an error; where only the file says how much it is (readfile, read "a"), that
     * is nil, "EFBIG: ...", "EFBIG".
     */
    size_t max_bytes;
    /*
     * Bytes of the Lua state, which must be one that halo makes; no limit. Beyond it Lua raises
     * "not enough memory". LuaJIT does not collect garbage because memory is short: leave it half
     * as much again as it needs. It implies no_jit, since LuaJIT may crash where memory is out in
     * compiled code. What the kernel and halo's core hold of files is not in it.
     */
    size_t max_memory;
    /*
     * Milliseconds that a task may hold the loop, which means that it goes on without waiting; no
     * limit. The log gets a line with the task, and from which line to which it did. It also gets
     * one for each call of halo's that waits on the spot, where nothing can be suspended. Each
     * place is told once, and at the end how often it was there.
     */
    unsigned warn_blocking_ms;
    /*
     * Milliseconds after which a task that holds the loop is stopped by an error, which no pcall
     * holds off; never. One of halo's functions that goes on by itself has as much time again, at
     * least 100 ms. A C function such as string.find with a hard pattern is not stopped, and a
     * finalizer is not. It implies no_jit, and takes away jit.on, jit.attach, jit.profile,
     * debug.sethook and newproxy, but not ffi, by which a script can do what it likes, nor io and
     * debug, by which it can make a finalizer, nor bytecode: see halo_lua_remove_libraries().
     * Measured, what computes took 2 to 9 times as long without the JIT, and up to twice as long
     * with this on top of that.
     */
    unsigned stop_ms;
    /*
     * Milliseconds from halo_lua_new() on; no limit. Then every task is cancelled, which a shield
     * holds off for 100 ms at most, and none can be spawned. halo_lua_step() returns
     * HALO_LUA_EXPIRED as long as tasks are alive. One that computes goes on unless stop_ms is set:
     * then it is stopped.
     */
    unsigned max_time_ms;
    /* Lua code is interpreted and never compiled. */
    bool no_jit;

    /* ---- memory ---- */

    /*
     * Lua's allocator, for a state that halo makes; NULL: realloc() and free(). An allocator that
     * may return NULL should come with no_jit.
     */
    lua_Alloc allocator;
    void *allocator_data;

    /* ---- callbacks: on the runtime's own thread; they call neither Lua nor its runtime ---- */

    void *user; /* passed to them */
    /*
     * A task has failed, and nobody joined it or has a handle of it: the error, its traceback,
     * where it was spawned and what was behind it, in lines without a newline at the end. NULL:
     * stderr.
     */
    void (*on_error)(struct halo_lua *halo, const char *text, void *user);
    /* halo has something to say: a task that held the loop, an error in a finalizer. NULL: stderr.
     */
    void (*on_log)(struct halo_lua *halo, const char *line, void *user);
    /* A script prints; without the newline. NULL: print is Lua's own, to stdout. */
    void (*on_print)(struct halo_lua *halo, const char *text, size_t length, void *user);
};

/*
 * Makes a runtime in a Lua state that has LuaJIT's libraries, as luaL_openlibs() opens them, or,
 * where L is NULL, in a new one with all of them. require "halo" works in it from then on. options
 * may be NULL. A state has one runtime: where it has one, that is given again, and options must be
 * NULL.
 *
 * Returns 0; or HALO_LUA_INVALID, HALO_LUA_NO_MEMORY or HALO_LUA_FAILED, and *halo is NULL.
 */
HALO_API int halo_lua_new(struct halo_lua **halo, lua_State *L,
                          const struct halo_lua_options *options);

/*
 * The runtime's state: the L that halo_lua_new() was given, or the one it has made. NULL where a
 * script has opened halo, and the host has not.
 */
HALO_API lua_State *halo_lua_state(const struct halo_lua *halo);

/* The runtime of a state, by any of its coroutines; NULL where it has none. */
HALO_API struct halo_lua *halo_lua_of(lua_State *L);

/* The entries that require "halo", require "halo.fs" and require "halo.io" use. They may raise. */
HALO_API int luaopen_halo(lua_State *L);
HALO_API int luaopen_halo_io(lua_State *L);
HALO_API int luaopen_halo_fs(lua_State *L);

/*
 * Ends halo: sends what is buffered, cancels every operation, waits for the kernel to let go of its
 * memory, closes every file. Tasks do not run again. No effect on a file appears afterwards, but of
 * what is left: operations that have not ended after deadline_ms (negative: 5,000), as on a server
 * that does not answer. Their memory is kept for ever, since the kernel may still write to it.
 *
 * Returns the number of those that are left, mostly 0; or HALO_LUA_INVALID, _WRONG_THREAD, _BUSY.
 * A second call returns 0.
 */
HALO_API int halo_lua_close(struct halo_lua *halo, int deadline_ms);

/*
 * Frees the runtime, and the state where halo has made it; closes first where that was not done.
 * Handles of tasks stay valid, and are still to be released. Where halo_lua_close() has left
 * operations, the state is not freed, since a buffer of theirs may be in it: a host with a state of
 * its own should not lua_close() that, either. Returns 0 or the code that halo_lua_close() would.
 */
HALO_API int halo_lua_free(struct halo_lua *halo);

/* ---- tasks --------------------------------------------------------------------------------- */

/*
 * Makes a task of the function and its nargs arguments on top of L, and pops them: L is the
 * runtime's state or a coroutine of it. It runs in the next step. task may be NULL: then nobody has
 * a handle, and a failure is reported by on_error. Else *task is to be released.
 *
 * Returns 0, or a code; with HALO_LUA_FAILED (a limit) and HALO_LUA_NO_MEMORY the values are
 * popped, with all others the stack is as it was.
 */
HALO_API int halo_lua_spawn(struct halo_lua *halo, lua_State *L, int nargs,
                            struct halo_lua_task **task);

/*
 * The same with a chunk: text, never bytecode. The name is for messages, as luaL_loadbuffer() has
 * it:
 * "=name" or "@file". What is wrong with the text is HALO_LUA_FAILED.
 */
HALO_API int halo_lua_spawn_text(struct halo_lua *halo, const char *text, size_t length,
                                 const char *name, struct halo_lua_task **task);

enum halo_lua_status {
    HALO_LUA_TASK_READY,    /* it runs in the next step */
    HALO_LUA_TASK_ACTIVE,   /* it runs now: it has called a host function */
    HALO_LUA_TASK_WAITING,  /* for a file, a time, another task, the host */
    HALO_LUA_TASK_ENDED,    /* its results are there */
    HALO_LUA_TASK_FAILED,   /* its error is */
    HALO_LUA_TASK_CANCELLED /* it has ended by that */
};

/* A status, or HALO_LUA_INVALID, _WRONG_THREAD; HALO_LUA_CLOSED once the state is gone. */
HALO_API int halo_lua_task_status(const struct halo_lua_task *task);

/*
 * Cancels it: the call it waits in raises the cancellation in the next step, and so does each later
 * one that may wait. Returns 1; 0 where it has ended; or a code.
 */
HALO_API int halo_lua_task_cancel(struct halo_lua_task *task);

/*
 * Pushes what the task has returned on L, and returns how many values that are. HALO_LUA_FAILED and
 * HALO_LUA_CANCELLED push the error value, one. All other codes push nothing: HALO_LUA_RUNNING,
 * HALO_LUA_NO_MEMORY, also where L's stack has no room. May be called again.
 */
HALO_API int halo_lua_task_results(struct halo_lua_task *task, lua_State *L);

/*
 * Calls ended(task, user) once, when the task has ended, however it did: within a step, when no
 * task runs, or at once where it has ended already. It may call what a host function may. A new one
 * takes the place of the one before; NULL: none. It is not called after halo_lua_close(). Returns 0
 * or a code.
 */
HALO_API int halo_lua_task_at_end(struct halo_lua_task *task,
                                  void (*ended)(struct halo_lua_task *task, void *user),
                                  void *user);

/*
 * Gives the handle back; the task goes on. Returns 0, or HALO_LUA_INVALID or HALO_LUA_WRONG_THREAD.
 */
HALO_API int halo_lua_task_release(struct halo_lua_task *task);

/*
 * As lua_pcall(): pops a function and its nargs arguments, runs it as a task until it and every
 * other task has ended, and pushes nresults results (or LUA_MULTRET). A task that fails cancels the
 * others.
 *
 * Returns 0. HALO_LUA_FAILED, _CANCELLED, _DEADLOCK and _NO_MEMORY push the error value; the other
 * codes leave the stack as it was.
 */
HALO_API int halo_lua_run(struct halo_lua *halo, lua_State *L, int nargs, int nresults);

/* The number of tasks that failed without anybody taking it; each has been reported. */
HALO_API unsigned halo_lua_failures(const struct halo_lua *halo);

/* ---- the host's loop ----------------------------------------------------------------------- */

/*
 * A host with a loop of its own watches halo_lua_fd() for reading beside its other descriptors,
 * waits no longer than halo_lua_timeout_ms() says, and calls halo_lua_step(halo, 0) whenever either
 * comes up. Both are asked after everything else that was done with halo: after a step, a spawn, a
 * cancel.
 */

/*
 * Runs what is ready and collects what has ended, waiting up to timeout_ms for it (negative: for
 * ever, 0: not at all). Returns the number of tasks that are alive, or a code:
 *
 * HALO_LUA_DEADLOCK: tasks are alive, nothing is under way, no timer runs and no host function has
 * been asked, so that no step will do anything by itself. The tasks are as they were: the host may
 * spawn another that brings them on, cancel them, or close.
 *
 * HALO_LUA_EXPIRED: max_time_ms is over. Every task has been cancelled, and what was ready has run.
 *
 * HALO_LUA_FAILED, HALO_LUA_NO_MEMORY: the step ended early; the next one goes on.
 */
HALO_API int halo_lua_step(struct halo_lua *halo, int timeout_ms);

/*
 * A descriptor that polls readable when a step has something to collect. It stays the same until
 * the close; once it was asked for, scripts can no longer change max_files and the like.
 * HALO_LUA_FAILED where the engine cannot be had.
 */
HALO_API int halo_lua_fd(struct halo_lua *halo);

/*
 * Milliseconds until a step has something to do by itself: 0 now; -1 when only the descriptor will
 * say so. A runtime that is closed, or not this thread's, has -1.
 */
HALO_API int halo_lua_timeout_ms(const struct halo_lua *halo);

/* Lets a step that waits end, and cancels nothing. In any thread, until the runtime is freed. */
HALO_API void halo_lua_wake(struct halo_lua *halo);

/*
 * Cancels every task: each one's call that waits raises "interrupted". Called again while tasks are
 * alive it reaches those in halo.shield() as well, such as a clean-up that hangs. In any thread,
 * and in signal handlers, as long as halo_lua_close() is not called at the same time. It does not
 * stop a task that computes; a hook does, which calls halo_lua_raise_interrupted().
 */
HALO_API void halo_lua_interrupt(struct halo_lua *halo);

/*
 * For a hook that stays from an interruption on: raises it, once in each task, in the one that
 * runs, unless that is shielded or has heard of it in a call that waits. Code of halo's own is not
 * stopped: then it returns 1, and the hook is to look again at the next instruction. Else 0.
 */
HALO_API int halo_lua_raise_interrupted(lua_State *L);

/*
 * For a program that is a command, and ends when nobody reads what it prints: EPIPE on descriptor 1
 * or 2 cancels every task, as halo_lua_interrupt() does, and calls unread(), each time. On other
 * descriptors it is what the call returns. SIGPIPE is the program's own business.
 */
HALO_API void halo_lua_end_unread(struct halo_lua *halo, void (*unread)(void));

/* ---- host functions that wait -------------------------------------------------------------- */

/*
 * A C function that scripts call hands out a token and suspends the task that has called it; the
 * host completes the token when it has the answer, from any thread.
 *
 *     static int fetch(lua_State *L)
 *     {
 *         struct job *job = job_new(luaL_checkstring(L, 1));
 *         job->token = halo_lua_token_new(L, NULL, NULL);
 *         halo_lua_token token = job->token;       the job may be gone as soon as it is queued
 *         queue_put(jobs, job);
 *         return halo_lua_await(L, token);
 *     }
 *
 *     halo_lua_complete(job->token, push_answer, job);       in a worker's thread
 *
 *     halo_lua_register(halo, "fetch", fetch);               so that scripts call it
 *
 * A token that is never completed leaves its task waiting, until it is cancelled or halo is closed:
 * halo cannot know that no answer will come. Scripts guard themselves by halo.timeout().
 */
struct halo_port;
typedef struct halo_lua_token {
    struct halo_port *port;
    uint64_t id;
} halo_lua_token;

/*
 * Leaves the values of a call on top of L and returns their count, or raises an error, as a
 * lua_CFunction does. It runs once, on the runtime's own thread, and lets go of data. L is NULL
 * where nobody takes the values, as the task was cancelled or halo closed: then it does only that.
 */
typedef int (*halo_lua_push)(lua_State *L, void *data);

/*
 * The task that waits for a token has been cancelled: the host may end its work early. It completes
 * the token all the same. Runs on the runtime's own thread, and must not call Lua. It is not called
 * by halo_lua_close().
 */
typedef void (*halo_lua_cancelled)(halo_lua_token token, void *user);

/*
 * A token for a call of a host function, to be followed by halo_lua_await(). cancelled may be NULL.
 * Raises a Lua error when memory is out, or halo closed.
 */
HALO_API halo_lua_token halo_lua_token_new(lua_State *L, halo_lua_cancelled cancelled, void *user);

/*
 * Suspends the task until the token is complete; where that cannot be, it waits on the spot. The
 * host function returns what this returns. It may be complete already. Raises an error where the
 * token is none of this runtime's, or has been awaited, and in a function that was not made by the
 * two below: their caller gets errors and the cancellation raised, at its line.
 */
HALO_API int halo_lua_await(lua_State *L, halo_lua_token token);

/*
 * Completes a token, from any thread and at any time. A token is good once. Returns true where push
 * will be called with data; false, and data remains the caller's, where the token has been
 * completed before, halo has been closed, or it is none (zeroed).
 */
HALO_API bool halo_lua_complete(halo_lua_token token, halo_lua_push push, void *data);

/*
 * Makes a global function that scripts call: fn, which may wait as above. A function that does not
 * wait needs no such thing. Returns 0 or a code.
 */
HALO_API int halo_lua_register(struct halo_lua *halo, const char *name, lua_CFunction fn);

/* Pushes such a function instead; the name is for messages. Raises when memory is out. */
HALO_API void halo_lua_push_function(lua_State *L, const char *name, lua_CFunction fn);

/* ---- fences -------------------------------------------------------------------------------- */

/*
 * Lets halo's calls reach a path and, where it is a directory, what is below it: with the first
 * call nothing else can be reached any more. A path leads nowhere out, by no ".." and no symbolic
 * link; what is refused is nil, a message and "EACCES"; no device can be made ("EPERM"). Only
 * before the first operation. The rights add up; those without a path take NULL, and NULL with 0
 * allows nothing. Returns 0, or a code; HALO_LUA_FAILED where the path cannot be opened, or
 * operations have begun without a fence.
 *
 * Without a right of their own scripts have descriptors 0 to 2, as halo.stdin and so on, and may
 * wait for any by halo.poll(), which neither reads nor writes.
 *
 * This holds halo's own calls. Lua's other libraries have to be taken away, see below; and it is no
 * wall against who finds a bug in LuaJIT: a script that may be hostile belongs in a process of its
 * own.
 */
#define HALO_LUA_MAY_READ    1u
#define HALO_LUA_MAY_WRITE   2u /* also reading */
#define HALO_LUA_MAY_EXECUTE 4u /* start processes, which are not held */
#define HALO_LUA_MAY_ADOPT   8u /* use the program's descriptors by their numbers */
HALO_API int halo_lua_allow(struct halo_lua *halo, const char *path, unsigned rights);

/*
 * Takes from the runtime's state what goes around halo, before scripts run. names are words with
 * spaces between them, of these:
 *
 *     ffi        LuaJIT's ffi, which can do anything, and what gives its pointers
 *     loadlib    package.loadlib and the search for C modules
 *     loadfile   loadfile, dofile and the search for modules in files
 *     bytecode   bytecode in load and loadstring; string.dump
 *     io os debug jit      these libraries
 *     exec       os.execute and io.popen
 *     internals  halo's own inner modules, which check less than the others
 *     all        all of them
 *
 * It goes together with all limits and with halo_lua_allow(), in any order. Returns 0, or a code;
 * HALO_LUA_FAILED for an unknown word. Where it has failed run no script: some may be there still.
 */
HALO_API int halo_lua_remove_libraries(struct halo_lua *halo, const char *names);

#ifdef __cplusplus
}
#endif

#endif
