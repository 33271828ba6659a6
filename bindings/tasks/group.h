/*
 * group.h: tasks that one task waits for. halo.scope, map, all, race, timeout and run are written
 * in Lua on top of it. A group ends with its last member, and takes no other one then.
 */
#ifndef HALO_TASKS_GROUP_H
#define HALO_TASKS_GROUP_H

#include "tasks/task.h"

struct halo_group {
    const char *type;
    struct halo_task *members; /* alive, linked by group_next */
    struct halo_task *waiting; /* the task that waits for the group, or NULL */
    struct halo_group *home;   /* of its members: what halo.spawn() joins from them */
    struct halo_alarm alarm;   /* its deadline, which cancels the members */
    unsigned live;             /* members */
    unsigned further;          /* failures after the first that are not reported in full */
    struct halo_task *ended;   /* the first that has, of those whose end it is told of */
    struct halo_task *failed, *last_failed; /* linked by group_next */
    bool any;       /* the waiting task wants the first that ends, not only failures */
    bool cancelled; /* and so is a task that joins it now */
    bool late;      /* its deadline has passed */
    bool closed;    /* its last member has ended */
};

/*
 * Makes a task a member; NULL is the runtime's own group, which keeps no list. With told the group
 * takes its failure.
 */
void halo_group_join(struct halo_group *group, struct halo_task *task, bool told);
/* A member has ended, or has failed: tells the task that waits, where it wants to know. */
void halo_group_leave(lua_State *L, struct halo_lua *lua, struct halo_task *task);

void halo_open_group(lua_State *L);

#endif
