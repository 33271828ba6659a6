/*
 * report.h: failures, for people: the error, its traceback, where the task was spawned and what was
 * behind it, without the frames of halo itself.
 */
#ifndef HALO_TASKS_REPORT_H
#define HALO_TASKS_REPORT_H

#include "tasks/state.h"

/*
 * A malloc'ed text: the error on top of co, its traceback, where the task was spawned, and the
 * failure behind it. NULL without memory. task may be NULL.
 */
char *halo_traceback(lua_State *L, lua_State *co, const char *title, const struct halo_task *task,
                     int level);

/* A task fails by the error on top of its coroutine: makes its report. Never raises. */
void halo_report_make(lua_State *L, struct halo_task *task);
/* The same without an error on its coroutine. */
void halo_report_message(struct halo_task *task, const char *message);
/* Nobody has the failure yet: it is printed when nobody can join the task any more. */
void halo_report_remember(struct halo_lua *lua, struct halo_task *task);
/* Somebody has it: it need not be printed. */
void halo_report_claim(struct halo_task *task);
/* Nobody ever will: it is printed soon. */
void halo_report_lose(struct halo_lua *lua, struct halo_task *task);
/* Remembers for the report of a task's own failure that it was told of another's. */
void halo_report_tell(struct halo_task *task, const struct halo_task *failed);
/* A failure that came after the first one, and is reported with it. */
void halo_report_append(struct halo_task *first, const struct halo_task *other);
void halo_report_append_count(struct halo_task *first, unsigned more);

/* Prints the failures that nobody has joined, and forgets them. */
void halo_report_all(struct halo_lua *lua);
/* Of those, the ones that nobody can join any more. */
void halo_report_lost(struct halo_lua *lua);

void halo_open_report(lua_State *L);

#endif
