/* embedded.h: the Lua modules of lua/, which the build puts into the program. */
#ifndef HALO_EMBEDDED_H
#define HALO_EMBEDDED_H

struct halo_embedded {
    const char *name;            /* "halo", "halo.fs", ...; NULL ends the table */
    const char *start, *end;     /* its text, */
    const char *code, *code_end; /* and that compiled; empty where the build could not */
};

extern const struct halo_embedded halo_embedded[];

#endif
