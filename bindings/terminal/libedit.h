/*
 * libedit.h: the functions of libedit that the prompt uses. It is loaded when the prompt starts,
 * since to link it would make each start of the command slower.
 */
#ifndef HALO_LIBEDIT_H
#define HALO_LIBEDIT_H

#include <histedit.h>
#include <stdbool.h>

#define HALO_LIBEDIT(X)                                                                            \
    X(el_init)                                                                                     \
    X(el_end)                                                                                      \
    X(el_cursor)                                                                                   \
    X(el_deletestr)                                                                                \
    X(el_get)                                                                                      \
    X(el_wset)                                                                                     \
    X(el_wgets)                                                                                    \
    X(el_wline)                                                                                    \
    X(el_winsertstr)                                                                               \
    X(el_resize)                                                                                   \
    X(history_winit)                                                                               \
    X(history_wend)                                                                                \
    X(history_w)

#define HALO_POINTER(name) __typeof__(&name) name;
extern struct halo_libedit {
    HALO_LIBEDIT(HALO_POINTER)
} halo_libedit;

/* False where it is not installed. */
bool halo_libedit_load(void);

#endif
