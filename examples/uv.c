/*
 * uv: a host whose loop is libuv's.
 *
 *     uv script.lua
 *
 * uv_poll watches halo's descriptor, and a timer comes when halo says that a step has something to
 * do by itself. Beside that the loop does what else it has: here it ticks ten times a second.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <uv.h>

#include "halo_lua.h"

#define TICK_MS 100

struct host {
    struct halo_lua *halo;
    uv_poll_t ready; /* halo's descriptor */
    uv_timer_t due;  /* halo's timers */
    uv_timer_t tick; /* the host's own work */
    int ticks, alive;
};

/* After each step halo is asked anew how long it can be left alone. */
static void step(struct host *host)
{
    host->alive = halo_lua_step(host->halo, 0);
    if (host->alive <= 0) {
        if (host->alive < 0)
            fprintf(stderr, "uv: %s\n", halo_lua_message(host->halo));
        uv_stop(host->ready.loop);
        return;
    }
    int timeout_ms = halo_lua_timeout_ms(host->halo);
    if (timeout_ms < 0)
        uv_timer_stop(&host->due);
    else
        uv_timer_start(&host->due, host->due.timer_cb, (uint64_t)timeout_ms, 0);
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    step(handle->data);
}

static void on_due(uv_timer_t *handle)
{
    step(handle->data);
}

static void on_tick(uv_timer_t *handle)
{
    struct host *host = handle->data;
    host->ticks++;
}

/* Returns 0, or -1 where the loop cannot take halo in. */
static int join_loop(struct host *host, uv_loop_t *loop)
{
    int fd = halo_lua_fd(host->halo);

    if (fd < 0 || uv_poll_init(loop, &host->ready, fd) != 0)
        return -1;
    uv_timer_init(loop, &host->due);
    uv_timer_init(loop, &host->tick);
    host->ready.data = host->due.data = host->tick.data = host;
    uv_poll_start(&host->ready, UV_READABLE, on_ready);
    uv_timer_start(&host->due, on_due, 0, 0); /* the first step */
    uv_timer_start(&host->tick, on_tick, TICK_MS, TICK_MS);
    return 0;
}

/* Closed handles belong to the loop until it has come round once more. */
static void leave_loop(struct host *host, uv_loop_t *loop)
{
    uv_close((uv_handle_t *)&host->ready, NULL);
    uv_close((uv_handle_t *)&host->due, NULL);
    uv_close((uv_handle_t *)&host->tick, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    struct host host = {.alive = -1};
    uv_loop_t *loop = uv_default_loop();

    if (argc < 2 || halo_lua_new(&host.halo, NULL, NULL) != 0) {
        fprintf(stderr, "usage: uv script.lua\n");
        return 2;
    }
    lua_State *L = halo_lua_state(host.halo);
    if (luaL_loadfilex(L, argv[1], "t") != 0)
        fprintf(stderr, "uv: %s\n", lua_tostring(L, -1));
    else if (halo_lua_spawn(host.halo, L, 0, NULL) == 0 && join_loop(&host, loop) == 0) {
        uv_run(loop, UV_RUN_DEFAULT);
        leave_loop(&host, loop);
    }
    halo_lua_close(host.halo, -1);
    int failed = host.alive != 0 || halo_lua_failures(host.halo) > 0;
    halo_lua_free(host.halo);
    uv_loop_close(loop);
    printf("uv: %d ticks\n", host.ticks);
    return failed;
}
