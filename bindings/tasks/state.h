/*
 * state.h: all of halo's state in one Lua state. It lies in a userdata of the registry; whatever a
 * script can reach leads to it by an upvalue.
 */
#ifndef HALO_TASKS_STATE_H
#define HALO_TASKS_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "halo.h"
#include "halo_lua.h"

/* Names in the registry. */
#define HALO_STATE_KEY   "halo.state"
#define HALO_MODULES_KEY "halo.modules"

/* Why a coroutine has yielded. The call that yields sets it; a user's own yield leaves it USER. */
enum halo_yield { HALO_YIELD_USER, HALO_YIELD_WAIT, HALO_YIELD_RESUME };

struct halo_group;
struct halo_out;
struct halo_port;
struct halo_report;
struct halo_run;
struct halo_task;

struct halo_lua {
    /* The loop, made with the first operation, and what it is made by. */
    struct halo_loop *loop;
    struct halo_config config;
    struct halo_fence *fence; /* what paths may reach; NULL: anything */
    bool fenced_by_flags;     /* of the command, which refusals name */
    bool closed;
    bool engine_chosen; /* by the user */
    uint8_t chosen_engine;
    bool stress;              /* HALO_GC=stress: a full collection at every resume */
    uint64_t configurable_at; /* operations submitted before the program's first one */

    /* The scheduler. */
    lua_State *L;         /* halo's own, on which it runs: an error there is never a host's */
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
    int push_result;              /* reference of the function that makes a call's own values */
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

    /* What is to know that C is about to print, and that it has; or NULL. */
    void (*give_way)(bool begins);

    struct halo_port *port; /* for the host's threads; NULL once closed */

    /* Tasks. */
    unsigned tasks; /* alive */
    uint64_t next_id, next_failure;
    unsigned source_count;
    struct halo_group *collected; /* being finalized */

    /* References into the registry. */
    int own_thread; /* L */
    int anchors;    /* the table of what is kept from collection */
    int half_made;  /* in that table, of a task whose making failed halfway; 0 for none */
    int cancelled;  /* the value that a cancellation raises, */
    int uncertain;  /* and that of one that has left a change of names half known */
    int sources;    /* the names of chunks that have spawned tasks */
    int run_loop;   /* the function of the scheduler */
    int shields;    /* coroutine -> shields it is in, for those that no task runs; or LUA_NOREF */
    int istype;     /* ffi.istype, */
    int stat_type;  /* and the type of a stat; or 0 both */

    /* Failures, and the interruption. */
    struct halo_report *lost; /* of Tasks that were collected, to be printed in order */
    struct halo_task *failed; /* with nobody joining them, yet */
    bool failed_lately;
    unsigned failures;     /* that were reported */
    atomic_bool interrupt; /* halo_lua_interrupt() was called */
    bool interrupted;      /* and the tasks have been told */
    unsigned interrupts;   /* since no task was alive: the second one reaches into shields */
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
/* Closes the loop for good. */
void halo_lua_close_loop(struct halo_lua *lua);

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
