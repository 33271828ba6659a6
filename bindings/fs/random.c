/* Names that nobody can guess, for files that exist only for a while. */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "fs/fs.h"

#define LENGTH_MAX 255 /* bytes in a name of a file */
#define TRIES_MAX  64  /* of a call that signals interrupt, or that gives only a part */

#define SOURCE "/dev/urandom"

/* Alike on file systems that know no case. There are 32, so that five bits make one of them. */
static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

static int fill_by_call(uint8_t *data, size_t size)
{
    size_t filled = 0;
    for (int i = 0; i < TRIES_MAX && filled < size; i++) {
        ssize_t count = getrandom(data + filled, size - filled, 0);
        if (count < 0 && errno != EINTR)
            return -errno;
        filled += count > 0 ? (size_t)count : 0;
    }
    return filled == size ? 0 : -EINTR;
}

static int fill_by_read(uint8_t *data, size_t size)
{
    int fd = open(SOURCE, O_RDONLY | O_CLOEXEC), error = 0;
    if (fd < 0)
        return -errno;
    size_t filled = 0;
    for (int i = 0; i < TRIES_MAX && filled < size && !error; i++) {
        ssize_t count = read(fd, data + filled, size - filled);
        if (count < 0 && errno != EINTR)
            error = -errno;
        filled += count > 0 ? (size_t)count : 0;
    }
    close(fd);
    if (!error && filled < size)
        error = -EIO;
    return error;
}

/*
 * random_name(count): so many letters, as far as a name may be that long. A container may refuse
 * the call, and has the device then.
 */
static int fs_random_name(lua_State *L)
{
    uint8_t bytes[LENGTH_MAX];
    char name[LENGTH_MAX];
    size_t count = (size_t)halo_check_size(L, 1, "random_name", HALO_OFFSET_MAX);

    if (count > LENGTH_MAX)
        count = LENGTH_MAX;
    int error = fill_by_call(bytes, count);
    if (error < 0)
        error = fill_by_read(bytes, count);
    if (error < 0)
        return halo_push_error(L, -error, SOURCE, NULL);
    for (size_t i = 0; i < count; i++)
        name[i] = letters[bytes[i] % 32];
    lua_pushlstring(L, name, count);
    return 1;
}

static const luaL_Reg functions[] = {
    {"random_name", fs_random_name},
    {NULL, NULL},
};

void halo_open_random(lua_State *L)
{
    halo_register(L, functions);
}
