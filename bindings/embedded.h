/* embedded.h: the Lua modules of lua/, which the build puts into the program as they are. */
#ifndef HALO_EMBEDDED_H
#define HALO_EMBEDDED_H

struct halo_embedded {
    const char *name; /* "halo", "halo.fs", ...; NULL ends the table */
    const char *start, *end;
};

extern const struct halo_embedded halo_embedded[];

#endif
