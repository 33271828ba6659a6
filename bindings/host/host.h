/*
 * host.h: what the functions of halo_lua.h have in common. None of them lets an error out: what may
 * raise one runs on a stack of halo's own, under lua_cpcall(), since a host's is not protected.
 */
#ifndef HALO_HOST_H
#define HALO_HOST_H

#include "tasks/handle.h"

/* 0, or why this call is refused: the checks that come first, in this order. */
int halo_host_check_thread(const struct halo_lua *halo);
/* And its loop is this process's, or is yet to be made. */
int halo_host_check_open(const struct halo_lua *halo);
/* And no step runs. */
int halo_host_check_idle(const struct halo_lua *halo);
/* L belongs to the runtime, and has a function and nargs arguments on top. */
int halo_host_check_call(const struct halo_lua *halo, lua_State *L, int nargs);

/* What halo_lua_message() tells from now on. */
void halo_host_say(struct halo_lua *halo, const char *message);
/* The error on top of a stack, which stays there, is the message. */
void halo_host_set_message(struct halo_lua *halo, lua_State *L);
/* Keeps the error on top of a stack of halo's own as the message, pops it, and returns its code. */
int halo_host_fail_on(struct halo_lua *halo, lua_State *L, int status);
int halo_host_fail(struct halo_lua *halo, int status); /* on halo->L */

#endif
