/* handle.h: a host's handles of tasks. They are the host's memory, and outlive the Lua state. */
#ifndef HALO_TASKS_HANDLE_H
#define HALO_TASKS_HANDLE_H

#include "tasks/task.h"

struct halo_lua_task {
    struct halo_lua *lua; /* NULL once the state is gone */
    pthread_t thread;
    struct halo_task *task; /* NULL until it is made */
    int anchor;             /* reference of the Task in the registry */
    void (*ended)(struct halo_lua_task *, void *);
    void *user;
    bool due; /* in the list of those that are to be called */
    struct halo_lua_task *next_due;
    struct halo_lua_task *next, **link;
};

/* A handle, for a task that is yet to be made: all memory it needs. Raises when that is out. */
struct halo_lua_task *halo_handle_new(lua_State *L, struct halo_lua *lua);
/* Its task is there, with the Task on top of L, which it pops. */
void halo_handle_attach(lua_State *L, struct halo_lua_task *handle, struct halo_task *task);
/* Pushes the Task. L has room. */
void halo_handle_push(lua_State *L, const struct halo_lua_task *handle);
/* The task has ended: its callback is called before long. */
void halo_handle_end(struct halo_lua *lua, struct halo_lua_task *handle);
/* Calls those that are due; no task runs. */
void halo_handles_tell(struct halo_lua *lua);
void halo_handle_free(struct halo_lua_task *handle);
/* The state goes, and the handles stay. */
void halo_handles_orphan(struct halo_lua *lua);

#endif
