/*
 * host: a program with a loop of its own that takes halo into it.
 *
 *     host script.lua [argument...]
 *
 * It draws 60 frames a second while the script works in the background: epoll waits for the next
 * frame or for something that halo has to do. Ctrl-C raises "interrupted" in the script's tasks,
 * which may still clean up. The exit status is 0, 1 after a failure, 130 when interrupted.
 */
#include <lauxlib.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "halo_lua.h"

#define FRAME_NS (1000000000 / 60)

static struct halo_lua *halo;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
    halo_lua_interrupt(halo);
}

/* Makes the script a task, with its arguments. Returns NULL, or what is wrong. */
static const char *start_script(char **argv)
{
    lua_State *L = halo_lua_state(halo);
    int nargs = 0;

    if (luaL_loadfilex(L, argv[1], "t") != 0)
        return lua_tostring(L, -1);
    while (argv[2 + nargs] && lua_checkstack(L, 1))
        lua_pushstring(L, argv[2 + nargs++]);
    /* Nobody takes a handle, so that halo reports a failure. */
    return halo_lua_spawn(halo, L, nargs, NULL) == 0 ? NULL : halo_lua_message(halo);
}

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Goes round until no task is alive. Returns the frames drawn, or a negative code. */
static int run(int epoll_fd, int frame_fd)
{
    int alive, frames = 0;
    uint64_t due;

    while ((alive = halo_lua_step(halo, 0)) > 0) {
        struct epoll_event event;
        /* It wakes up for a frame, for halo's descriptor, or when a timer of halo's has run out. */
        if (epoll_wait(epoll_fd, &event, 1, halo_lua_timeout_ms(halo)) == 1 &&
            event.data.fd == frame_fd && read(frame_fd, &due, sizeof(due)) == sizeof(due))
            frames++; /* a game draws here */
    }
    return alive < 0 ? alive : frames;
}

int main(int argc, char **argv)
{
    /* The script gets EMFILE, and the host keeps descriptors for itself. */
    const struct halo_lua_options options = {.max_files = 500};
    struct itimerspec rate = {.it_interval.tv_nsec = FRAME_NS, .it_value.tv_nsec = FRAME_NS};
    int frame_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), frames = -1;

    if (argc < 2 || timerfd_settime(frame_fd, 0, &rate, NULL) != 0 || watch(epoll_fd, frame_fd) ||
        halo_lua_new(&halo, NULL, &options) != 0) {
        fprintf(stderr, argc < 2 ? "usage: host script.lua [argument...]\n" : "host: no start\n");
        return 2;
    }
    signal(SIGINT, on_interrupt);
    const char *wrong = start_script(argv);
    /* After a first step the script can no longer say which engine it wants, and there is one. */
    if (!wrong && halo_lua_step(halo, 0) >= 0 && watch(epoll_fd, halo_lua_fd(halo)) == 0)
        frames = run(epoll_fd, frame_fd);
    if (frames < 0)
        fprintf(stderr, "host: %s\n", wrong ? wrong : halo_lua_message(halo));
    else
        printf("host: %d frames\n", frames);
    halo_lua_close(halo, -1); /* ends what is under way, and reports what nobody has joined */
    int failed = frames < 0 || halo_lua_failures(halo) > 0;
    signal(SIGINT, SIG_DFL);
    halo_lua_free(halo);
    return interrupted ? 130 : failed;
}
