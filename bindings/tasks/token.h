/*
 * token.h: calls of the host's that wait, see halo_lua_await() in halo_lua.h. A port is what the
 * runtime shares with the host's threads: it outlives the runtime until the last token is complete.
 */
#ifndef HALO_TASKS_TOKEN_H
#define HALO_TASKS_TOKEN_H

#include "tasks/state.h"

/* NULL when memory is out. */
struct halo_port *halo_port_new(void);
/* The loop that completions wake; NULL: none, for the time being. */
void halo_port_connect(struct halo_port *port, struct halo_loop *loop);
/* Nothing is completed any more; data that has not been delivered is let go of. */
void halo_port_close(struct halo_port *port);

/* Whether tasks wait for a token. */
bool halo_port_is_awaited(const struct halo_port *port);
/* Wakes the tasks whose tokens have been completed. May raise an error, for the task delivering. */
void halo_port_deliver(lua_State *L, struct halo_lua *lua);

#endif
