#include "terminal/wide.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

void halo_wide_push(lua_State *L, const wchar_t *text, size_t count)
{
    luaL_Buffer buffer;
    char bytes[MB_LEN_MAX];
    mbstate_t state = {0};

    luaL_buffinit(L, &buffer);
    for (size_t i = 0; i < count; i++) {
        size_t length = wcrtomb(bytes, text[i], &state);
        if (length != (size_t)-1)
            luaL_addlstring(&buffer, bytes, length);
        else
            state = (mbstate_t){0};
    }
    luaL_pushresult(&buffer);
}

wchar_t *halo_wide_from(const char *bytes, size_t size, wchar_t *wide, size_t max)
{
    mbstate_t state = {0};
    size_t count = 0;

    while (size > 0 && count + 1 < max) {
        size_t length = mbrtowc(&wide[count], bytes, size, &state);
        bool good = length != (size_t)-1 && length != (size_t)-2 && length != 0;
        if (!good)
            state = (mbstate_t){0};
        count += good;
        length = good ? length : 1;
        bytes += length;
        size -= length;
    }
    wide[count] = L'\0';
    return wide;
}
