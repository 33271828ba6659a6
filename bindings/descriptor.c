/* Waiting for a descriptor that is somebody else's, such as a host's. */
#include "descriptor.h"

#include <errno.h>
#include <math.h>
#include <poll.h>

#include "fs/fs.h"

/* The letters of a poll's events. */
static short check_events(lua_State *L, int arg)
{
    const char *letters = luaL_optstring(L, arg, "r");
    short events = 0;

    for (const char *letter = letters; *letter; letter++) {
        if (*letter != 'r' && *letter != 'w')
            halo_arg_error(L, arg, "poll", "\"r\", \"w\" or \"rw\" expected");
        events |= *letter == 'r' ? POLLIN : POLLOUT;
    }
    if (!events)
        halo_arg_error(L, arg, "poll", "\"r\", \"w\" or \"rw\" expected");
    return events;
}

/* poll(fd, events): the events that are ready, as bits. */
static int descriptor_poll(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    int fd = (int)halo_check_size(L, 1, "poll", INT32_MAX);
    uint32_t events = (uint32_t)check_events(L, 2);
    struct halo_op *op = halo_new_op(L, lua, HALO_OP_POLL);
    op->fd = fd;
    op->flags = events;
    return halo_await(L, lua, op);
}

/* poll_now(fd, events, seconds): the same on the spot; 0 when the time is up. */
static int descriptor_poll_now(lua_State *L)
{
    struct pollfd polled = {.fd = (int)halo_check_size(L, 1, "poll", INT32_MAX),
                            .events = check_events(L, 2)};
    double ms = ceil(halo_check_seconds(L, 3, "poll") * 1e3);
    int count;

    do
        count = poll(&polled, 1, ms < INT32_MAX ? (int)ms : INT32_MAX);
    while (count < 0 && errno == EINTR);
    if (count < 0 || polled.revents & POLLNVAL)
        return halo_push_error(L, count < 0 ? errno : EBADF, lua_tostring(L, 1), NULL);
    lua_pushinteger(L, polled.revents);
    return 1;
}

/* events_ready(bits, events): the letters of those that were asked for and are there. */
static int descriptor_letters(lua_State *L)
{
    int bits = (int)luaL_checkinteger(L, 1);
    short events = check_events(L, 2);

    if (bits & (POLLERR | POLLHUP))
        bits |= POLLIN | POLLOUT; /* a read or a write finds out what is the matter */
    bits &= events;
    lua_pushstring(L, bits == (POLLIN | POLLOUT) ? "rw" : bits & POLLIN ? "r" : "w");
    return 1;
}

static const luaL_Reg functions[] = {
    {"poll", descriptor_poll},
    {"poll_now", descriptor_poll_now},
    {"events_ready", descriptor_letters},
    {NULL, NULL},
};

void halo_open_descriptor(lua_State *L)
{
    halo_register(L, functions);
}
