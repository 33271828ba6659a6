/* token.h: calls of the host's that wait, see halo_lua_await() in halo_lua.h. */
#ifndef HALO_TASKS_TOKEN_H
#define HALO_TASKS_TOKEN_H

#include "tasks/state.h"

/* Makes what a call's own values are pushed by. */
void halo_open_tokens(lua_State *L);
/* Pushes a host's function that may wait. */
void halo_token_push_function(lua_State *L, lua_CFunction fn);
/* Whether tasks wait for a token. */
bool halo_token_is_awaited(const struct halo_lua *lua);
/* Whether some have been completed that nobody has looked at. */
bool halo_token_has_news(const struct halo_lua *lua);
/* Wakes the tasks whose tokens have been completed. May raise an error, for the task delivering. */
void halo_token_deliver(lua_State *L, struct halo_lua *lua);

#endif
