/*
 * state.h: all of halo's state in one Lua state. It lies in a userdata of the registry; whatever a
 * script can reach leads to it by an upvalue.
 */
#ifndef HALO_TASKS_STATE_H
#define HALO_TASKS_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>

#include "halo.h"
#include "halo_lua.h"

/*
 * Places in the registry. The state's is a number, far beyond those of luaL_ref(): to look there
 * needs no memory, and never raises.
 */
#define HALO_STATE_KEY    0x68616c6f
#define HALO_MODULES_KEY  "halo.modules"
#define HALO_NEWPROXY_KEY "halo.newproxy" /* the modules' own, whatever scripts have */

/* Of the limits. */
#define HALO_FILES_MAX   (1u << 20)
#define HALO_THREADS_MAX 1024u
#define HALO_BYTES_MIN   (256u << 10) /* what halo's own Lua reads at once */

/* Why a coroutine has yielded. The call that yields sets it; a user's own yield leaves it USER. */
enum halo_yield { HALO_YIELD_USER, HALO_YIELD_WAIT, HALO_YIELD_RESUME };

struct halo_blocking;
struct halo_extra;
struct halo_group;
struct halo_out;
struct halo_port;
struct halo_report;
struct halo_run;
struct halo_task;

/* Lua's memory, where the host gives or limits it. It outlives the state. */
struct halo_memory {
    lua_Alloc allocator; /* that is asked */
    void *data;
    size_t used, max;  /* max: 0 where there is no limit */
    size_t collect_at; /* so much is used: a full collection should come first */
    bool is_own;       /* the allocator is LuaJIT's */
    bool must_give;    /* memory may not be out now, see memory.c */
    bool refused;      /* and it was */
    struct halo_extra *extra;
};

/* The time that tasks take, see watch.h. */
struct halo_watch {
    uint64_t stop_ns;    /* 0: no limit */
    uint64_t since_ns;   /* the running task has the loop since then, */
    bool stopping;       /* and is being stopped */
    uint64_t expires_ns; /* of the loop's clock, or 0 */
    uint8_t expired;     /* how often it has: enum halo_expiry */
};

struct halo_lua {
    /* What the host has given, and asks for. */
    pthread_t thread; /* all but a few calls belong to it */
    lua_State *state; /* the host's */
    struct halo_lua_options options;
    bool is_made;               /* by halo */
    struct halo_memory *memory; /* NULL: nobody looks */
    char *message;              /* of the latest failure */
    bool closing;
    bool watched;  /* the host has the loop's descriptor: the loop stays */
    unsigned left; /* operations, by the close */
    struct halo_lua_task *handles;
    struct halo_lua_task *ended, **ended_end; /* whose callbacks are due */
    struct halo_watch watch;
    unsigned max_tasks; /* 0: no limit */
    size_t max_bytes;   /* of a call, likewise */

    /* The loop, made with the first operation, and what it is made by. */
    struct halo_loop *loop;
    struct halo_config config;
    struct halo_config given; /* by the host: configure() may lower it */
    bool is_given;            /* and its other options hold */
    struct halo_fence *fence; /* what paths may reach; NULL: anything */
    bool fenced_by_flags;     /* of the command, which refusals name */
    bool closed;
    bool engine_chosen; /* by the user */
    uint8_t chosen_engine;
    bool stress;              /* HALO_GC=stress: a full collection at every resume */
    uint64_t configurable_at; /* operations submitted before the program's first one */

    /* The scheduler. */
    lua_State *L;         /* halo's own, on which it runs: an error there is never a host's */
    lua_State *other;     /* another one, for the host's calls from what L has called */
    bool stepping;        /* a host calls, and waits for its turn */
    bool scheduling;      /* it is running, */
    struct halo_run *run; /* which is told so much */
    struct halo_task *ready, *ready_last;
    struct halo_task *task;  /* running now, or NULL */
    lua_State *running;      /* the coroutine that was resumed; only it can yield to us */
    uint32_t resumes;        /* of coroutines */
    uint64_t quantum_end_ns; /* of the loop's time, after which others that are ready go on */
    uint8_t yield;           /* enum halo_yield, of the latest yield */
    int yielded;             /* HALO_YIELD_RESUME: values that were moved to the generator */

    struct halo_task *delivering; /* it gets values from the scheduler, which may fail */
    int push_result;              /* reference of the function that makes a call's own values, */
    int push_values;              /* and of that which a host's push is called by */
    /* What becomes of an operation that nobody waits for. */
    void (*forget)(lua_State *L, struct halo_lua *lua, struct halo_op *op);

    /* Files' buffers for writing, what sends those whose Files are gone, and all at the end. */
    struct halo_out *outs, **outs_end;
    bool forgotten; /* the File of one of them is gone */
    void (*send_forgotten)(struct halo_lua *lua);
    void (*send_all)(struct halo_lua *lua);
    int stdout_file; /* reference of halo.stdout's File, or LUA_NOREF */

    void (*unread)(void); /* what a command does when nobody reads its output, or NULL, */
    bool is_unread;       /* and it has */

    /* Lua's own io, where halo.io stands in its place. */
    bool has_stdio;         /* it does */
    bool stdio_turn;        /* C's stdout may be written to without a look at halo.stdout */
    int stdout_room;        /* reference of the table whose field "room" says so to Lua */
    const void *stdio_meta; /* the metatable of Lua's files */

    /* What is to know that C is about to print, and that it has; or NULL. */
    void (*give_way)(bool begins);

    struct halo_blocking *blocking; /* who holds the loop is told; or NULL */

    struct halo_port *port; /* for the host's threads */

    /* Tasks. */
    unsigned tasks; /* alive */
    uint64_t next_id, next_failure;
    unsigned source_count;
    struct halo_group *collected; /* being finalized */

    /* References into the registry. */
    int own_thread; /* L */
    int other_thread;
    int anchors;   /* the table of what is kept from collection */
    int half_made; /* in that table, of a task whose making failed halfway; 0 for none */
    int cancelled; /* the value that a cancellation raises, */
    int uncertain; /* and that of one that has left a change of names half known */
    int sources;   /* the names of chunks that have spawned tasks */
    int run_loop;  /* the function of the scheduler */
    int shields;   /* coroutine -> shields it is in, for those that no task runs; or LUA_NOREF */
    int istype;    /* ffi.istype, */
    int stat_type; /* and the type of a stat; or 0 both */

    /* Failures, and the interruption. */
    struct halo_report *lost; /* of Tasks that were collected, to be printed in order */
    struct halo_task *failed; /* with nobody joining them, yet */
    bool failed_lately;
    unsigned failures;        /* that were reported */
    atomic_bool interrupt;    /* halo_lua_interrupt() was called, */
    atomic_uint interrupting; /* and is waking the loop now */
    bool interrupted;         /* and the tasks have been told */
    unsigned interrupts;      /* since no task was alive: the second one reaches into shields */
};

/* halo's state of this Lua state; raises an error where halo is not open. */
struct halo_lua *halo_lua_get(lua_State *L);
/* The same from a C function that was registered with it as its first upvalue. */
static inline struct halo_lua *halo_lua_self(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* Makes the state, in the registry, with its finalizer. */
void halo_lua_make(lua_State *L, lua_CFunction gc);
/* Closes the loop for good. Returns how many operations are left. */
unsigned halo_lua_close_loop(struct halo_lua *lua, uint64_t deadline_ms);
#define HALO_CLOSE_DEADLINE_MS 5000
/* Takes the loop away, to be closed: no interruption has got hold of it. */
struct halo_loop *halo_lua_take_loop(struct halo_lua *lua);

/* Tells the log a line. */
void halo_log(struct halo_lua *lua, const char *line);

/*
 * The loop, created with the first call. Raises an error where it cannot be had, and in a child of
 * fork().
 */
struct halo_loop *halo_lua_loop(lua_State *L, struct halo_lua *lua);
/* Raises the error that a child of fork() gets. */
void halo_lua_check_forked(lua_State *L, const struct halo_lua *lua);
/* The engine of that name; raises where there is none. */
enum halo_engine_kind halo_lua_check_engine(lua_State *L, const char *name);

/*
 * Makes room for count values on the stack of a coroutine that is suspended. lua_checkstack() would
 * raise its errors there, with nobody to take them. Returns false where there is no room, with the
 * error on top of it: then that coroutine cannot go on any more.
 */
bool halo_make_room(lua_State *co, int count);

/* Makes a type of userdata: its metatable, and its methods as a field of the table on top. */
void halo_open_type(lua_State *L, const char *type, const luaL_Reg *metamethods,
                    const luaL_Reg *methods);
/* Registers functions with halo's state as their upvalue into the table on top of the stack. */
void halo_register(lua_State *L, const luaL_Reg *functions);

#endif
