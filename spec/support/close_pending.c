/*
 * close_pending SCRIPT DIRECTORY STEPS [halo]: runs a script for so many steps, in that directory,
 * and closes the Lua state with all that is pending: by lua_close() alone, or by halo_lua_close()
 * before it. It then looks at the directory at once and a while later, and says "same" where
 * nothing has changed.
 */
#include <dirent.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "halo_lua.h"

#define LATER_US 150000

/* A sum over all names, sizes and times, in whatever order they come. */
static uint64_t look(void)
{
    uint64_t sum = 0;
    DIR *directory = opendir(".");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        struct stat status;
        uint64_t hash = 1469598103934665603u;
        if (lstat(entry->d_name, &status) != 0)
            continue;
        for (const char *c = entry->d_name; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        sum += hash + (uint64_t)status.st_size * 31 + (uint64_t)status.st_mtim.tv_nsec +
               (uint64_t)status.st_ctim.tv_nsec * 7 + status.st_nlink;
    }
    if (directory)
        closedir(directory);
    return sum;
}

static int fail(lua_State *L)
{
    fprintf(stderr, "close_pending: %s\n", lua_tostring(L, -1));
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    lua_State *L = luaL_newstate();
    struct halo_lua *halo;

    luaL_openlibs(L);
    if (halo_lua_new(&halo, L, NULL) != 0)
        return 1;
    if (luaL_loadfile(L, argv[1]) != 0 || chdir(argv[2]) != 0 ||
        halo_lua_spawn(halo, L, 0, NULL) != 0)
        return fail(L);
    for (int steps = atoi(argv[3]); steps > 0; steps--)
        if (halo_lua_step(halo, 0) < 0)
            return fail(L);
    if (argc > 4)
        halo_lua_close(halo, -1);
    lua_close(L);
    uint64_t at_once = look();
    usleep(LATER_US);
    puts(look() == at_once ? "same" : "different");
    return 0;
}
