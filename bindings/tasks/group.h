/*
 * group.h: tasks that one task waits for. halo.scope, map, all, race, timeout and run are written
 * in Lua on top of it.
 */
#ifndef HALO_GROUP_H
#define HALO_GROUP_H

#include "tasks/scheduler.h"

struct halo_group {
    const char *type;
    struct halo_task *members; /* alive, linked by group_next */
    struct halo_task *waiting; /* the task that waits for the group, or NULL */
    unsigned live;             /* members, and for a family all their descendants */
    int first_ended;           /* anchors of the first member that ended, */
    int first_failed;          /* and of the first that failed; LUA_NOREF when there is none */
    bool cancelled;            /* and whoever joins it now is, too */
    bool any;                  /* the waiting task wants the first that ends, not only failures */
};

/* A member or a descendant has ended: tells the task that waits, where it wants to know. */
void halo_group_leave(lua_State *L, struct halo_lua *lua, struct halo_task *task, bool failed);

#endif
