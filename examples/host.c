/*
 * host: a program with a loop of its own that takes halo into it.
 *
 *     host script.lua [argument...]
 *
 * It draws 60 frames a second while the script works in the background: poll(2) waits for the next
 * frame or for something that halo has to do. Ctrl-C raises "interrupted" in the script's tasks,
 * which may still clean up. The exit status is 0, 1 after a failure, 130 when interrupted.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "halo_lua.h"

#define FRAME_NS (1000000000 / 60)

static struct halo_lua *halo; /* a signal handler cannot ask Lua for it */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
    halo_lua_interrupt(halo);
}

/* Opens halo and makes the script a task. It runs under lua_cpcall(): errors are no panics. */
static int start_script(lua_State *L)
{
    char **argv = lua_touserdata(L, 1);
    int nargs = 0;

    luaL_openlibs(L);
    halo_lua_open(L);
    halo = halo_lua_handle(L);
    /* The script gets EMFILE, and the host keeps descriptors for itself. */
    if (halo_lua_configure(L, &(struct halo_lua_options){.max_files = 500}) < 0 ||
        luaL_loadfilex(L, argv[1], "t") != 0)
        return lua_error(L);
    while (argv[2 + nargs]) {
        luaL_checkstack(L, 1, "too many arguments");
        lua_pushstring(L, argv[2 + nargs++]);
    }
    /* What is returned drops the Task: nobody joins it, so that halo reports its failure. */
    return halo_lua_spawn(L, nargs) == 0 ? 0 : lua_error(L);
}

/* Goes round until no task is alive. Returns the frames drawn, or -1 with an error on the stack. */
static int run(lua_State *L, int frame_fd)
{
    int alive, frames = 0;
    uint64_t due;

    while ((alive = halo_lua_step(L, 0)) > 0) {
        struct pollfd polled[] = {
            {.fd = halo_lua_fd(L), .events = POLLIN}, /* poll() passes over -1 */
            {.fd = frame_fd, .events = POLLIN},
        };
        if (poll(polled, 2, halo_lua_timeout_ms(L)) <= 0)
            continue; /* time for halo's timers, or a signal */
        if (polled[1].revents && read(frame_fd, &due, sizeof(due)) == sizeof(due))
            frames++; /* a game draws here */
    }
    return alive < 0 ? -1 : frames;
}

int main(int argc, char **argv)
{
    struct itimerspec rate = {.it_interval.tv_nsec = FRAME_NS, .it_value.tv_nsec = FRAME_NS};
    int frame_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    lua_State *L = luaL_newstate();
    int frames = -1;

    if (argc < 2 || !L || frame_fd < 0 || timerfd_settime(frame_fd, 0, &rate, NULL) != 0) {
        fprintf(stderr, argc < 2 ? "usage: host script.lua [argument...]\n" : "host: no start\n");
        return 2;
    }
    if (lua_cpcall(L, start_script, argv) == 0) {
        signal(SIGINT, on_interrupt);
        frames = run(L, frame_fd);
    }
    if (frames < 0)
        fprintf(stderr, "host: %s\n", lua_tostring(L, -1));
    else
        printf("host: %d frames\n", frames);
    int failed = frames < 0;
    if (halo) {
        halo_lua_close(L); /* ends what is under way, and reports what nobody has joined */
        failed |= halo_lua_failures(L) > 0;
    }
    lua_close(L);
    return interrupted ? 130 : failed;
}
