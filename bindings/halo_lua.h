/*
 * halo_lua.h: halo inside a C program that embeds Lua.
 *
 *     lua_State *L = luaL_newstate();
 *     luaL_openlibs(L);
 *     halo_lua_open(L);                        pushes the module halo
 *     luaL_loadfilex(L, "script.lua", "t");
 *     halo_lua_run(L, 0, 0);                   runs it as a task, and all that it spawns
 *     halo_lua_close(L);                       before lua_close()
 *     lua_close(L);
 *
 * A host with a loop of its own calls halo_lua_spawn() instead, watches halo_lua_fd() beside its
 * other descriptors, waits no longer than halo_lua_timeout_ms(), and calls halo_lua_step() with a
 * timeout of 0 whenever either comes up. All functions belong to the thread that called
 * halo_lua_open(). halo installs no signal handlers and keeps no global state.
 */
#ifndef HALO_LUA_H
#define HALO_LUA_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <lua.h> /* which leaves that to whoever includes it */

#ifndef HALO_API
#define HALO_API __attribute__((visibility("default")))
#endif

/* The engine to use; the default is "auto". HALO_ENGINE in the environment takes precedence. */
struct halo_lua_options {
    const char *engine;     /* "auto", "ring", "pool", or NULL */
    unsigned max_files;     /* 0: the default */
    unsigned max_in_flight; /* 0: the default */
};

/*
 * Opens halo in a Lua state and pushes the module, as require "halo" would return it. Calls on a
 * state where it is open already only push. Raises a Lua error when memory is out.
 */
HALO_API int halo_lua_open(lua_State *L);

/* The entries that require "halo" and require "halo.fs" use. */
HALO_API int luaopen_halo(lua_State *L);
HALO_API int luaopen_halo_fs(lua_State *L);

/*
 * Sets options; only before the first operation. Returns 0, or -1 with an error value on the stack.
 */
HALO_API int halo_lua_configure(lua_State *L, const struct halo_lua_options *options);

/*
 * Pops a function and its nargs arguments and makes a task of it, which runs in the next step.
 * Pushes the Task and returns 0; or pushes the error value and returns LUA_ERRMEM, or LUA_ERRRUN
 * for more arguments than there is room for.
 */
HALO_API int halo_lua_spawn(lua_State *L, int nargs);

/*
 * As lua_pcall(): pops a function and its nargs arguments, runs it as a task until it and every
 * other task has ended, and pushes nresults results (or LUA_MULTRET), or the error value. Returns
 * 0, LUA_ERRRUN or LUA_ERRMEM.
 */
HALO_API int halo_lua_run(lua_State *L, int nargs, int nresults);

/*
 * Runs what is ready and collects what has ended, waiting up to timeout_ms for it (negative: for
 * ever, 0: not at all). Returns the number of tasks that are alive, or one of two negative values,
 * with an error value on the stack:
 *
 * -1: the step came to an end early. Memory is out; or tasks wait for each other's end, with
 * nothing under way and nobody who could ever wake them: they have been cancelled. The next step
 * goes on.
 *
 * HALO_LUA_STUCK: tasks are alive, nothing is under way and no timer runs, so that no step will
 * ever do anything by itself; the text says which task waits where. But one of them waits for
 * another (by a channel, a semaphore), which the host may yet bring on: it may spawn one that
 * sends, or call halo_lua_interrupt(). A host with nothing of the kind in mind has met a deadlock.
 * The tasks are as they were.
 */
#define HALO_LUA_STUCK (-2)
HALO_API int halo_lua_step(lua_State *L, int timeout_ms);

/* A descriptor that polls readable when a step has something to collect; -1 before the first. */
HALO_API int halo_lua_fd(lua_State *L);

/* Milliseconds until a step has something to do by itself: 0 now, -1 only when the fd says so. */
HALO_API int halo_lua_timeout_ms(lua_State *L);

/*
 * Cancels every task: each one's call that waits raises "interrupted". Called again while tasks are
 * alive it reaches those in halo.shield() as well, such as a clean-up that hangs. Safe in a signal
 * handler; it takes what halo_lua_handle() returned, since a signal handler cannot ask Lua. Returns
 * 1 while Lua code is running: a hook that calls halo_lua_raise_interrupted() then stops a
 * computation as well.
 */
struct halo_lua;
HALO_API struct halo_lua *halo_lua_handle(lua_State *L);
HALO_API int halo_lua_interrupt(struct halo_lua *handle);

/* Lets a step that waits end, and cancels nothing. Safe in any thread until halo_lua_close(). */
HALO_API void halo_lua_wake(struct halo_lua *handle);

/*
 * ---- host functions that wait ----
 *
 * A C function of the host's hands out a token and suspends the task that has called it; the host
 * completes the token when it has the answer, from any thread.
 *
 *     static int fetch(lua_State *L)
 *     {
 *         struct job *job = job_new(luaL_checkstring(L, 1));
 *         job->token = halo_lua_token_new(L, NULL, NULL);
 *         queue_put(jobs, job);
 *         return halo_lua_await(L, job->token);
 *     }
 *
 *     halo_lua_complete(job->token, push_answer, job);       in a worker's thread
 *
 *     halo_lua_push_function(L, "fetch", fetch);             so that scripts call it
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
 * the token all the same. Runs on the runtime's own thread, and must not call Lua.
 */
typedef void (*halo_lua_cancelled)(halo_lua_token token, void *user);

/*
 * A token for a call of a host function, to be followed by halo_lua_await(). cancelled may be NULL.
 * Raises a Lua error when memory is out.
 */
HALO_API halo_lua_token halo_lua_token_new(lua_State *L, halo_lua_cancelled cancelled, void *user);

/*
 * Suspends the task until the token is complete; where that cannot be, it waits on the spot. The
 * host function returns what this returns. It may be complete already.
 */
HALO_API int halo_lua_await(lua_State *L, halo_lua_token token);

/*
 * Completes a token, from any thread, and as late as after halo_lua_close(). A token is good once.
 * Returns true where push will be called with data; false, and data remains the caller's, where the
 * token has been completed before or halo has been closed.
 */
HALO_API bool halo_lua_complete(halo_lua_token token, halo_lua_push push, void *data);

/*
 * Pushes a function that scripts call: fn, which may wait as above. The name is for messages. A
 * function that does not wait needs no such thing.
 */
HALO_API void halo_lua_push_function(lua_State *L, const char *name, lua_CFunction fn);

/* Raises the interruption in the running task, unless it is shielded: then it returns. */
HALO_API void halo_lua_raise_interrupted(lua_State *L);

/*
 * For a program that is a command, and ends when nobody reads what it prints: EPIPE on descriptor 1
 * or 2 cancels every task, as halo_lua_interrupt() does, and calls unread(), each time. On other
 * descriptors it is what the call returns. SIGPIPE is the program's own business.
 */
HALO_API void halo_lua_end_unread(struct halo_lua *handle, void (*unread)(void));

/*
 * ---- fences ----
 *
 * Lets halo's calls reach a path and, where it is a directory, what is below it: with the first
 * call nothing else can be reached any more. A path leads nowhere out, by no ".." and no symbolic
 * link; what is refused is nil, a message and "EACCES". Only before the first operation. The rights
 * add up; those without a path take NULL, and NULL with 0 allows nothing. Returns 0, or -1 with an
 * error value on the stack, where the path cannot be opened.
 *
 * This holds halo's own calls. Lua's other libraries have to be taken away, see below; and it is no
 * wall against who finds a bug in LuaJIT: a script that may be hostile belongs in a process of its
 * own.
 */
#define HALO_LUA_MAY_READ    1u
#define HALO_LUA_MAY_WRITE   2u /* also reading */
#define HALO_LUA_MAY_EXECUTE 4u /* start processes, which are not held */
#define HALO_LUA_MAY_ADOPT   8u /* use the program's descriptors by their numbers */
HALO_API int halo_lua_allow(lua_State *L, const char *path, unsigned rights);

/*
 * Takes from a state what goes around halo, after halo_lua_open() and before scripts run. names are
 * words with spaces between them, of these:
 *
 *     ffi        LuaJIT's ffi, which can do anything
 *     loadlib    package.loadlib and the search for C modules
 *     loadfile   loadfile, dofile and the search for modules in files
 *     bytecode   bytecode in load and loadstring; string.dump
 *     io os debug jit      these libraries
 *     exec       os.execute and io.popen
 *     internals  halo's own inner modules, which check less than the others
 *     all        all of them
 *
 * Returns 0, or -1 with an error value on the stack for an unknown word.
 */
HALO_API int halo_lua_remove_libraries(lua_State *L, const char *names);

/* The number of tasks that failed without anybody joining them; each has been reported. */
HALO_API unsigned halo_lua_failures(lua_State *L);

/*
 * Ends halo: cancels every operation, waits for the kernel to let go of its memory, closes every
 * file. No effect on a file appears afterwards. To be called before lua_close().
 */
HALO_API void halo_lua_close(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
