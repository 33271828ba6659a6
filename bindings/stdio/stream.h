/*
 * stream.h: C's FILE as a buffer that halo fills and empties. A FILE stays what it is: C's own
 * functions may be called on it at any time, and find their bytes in it and their offset in the
 * descriptor. What halo adds is that the reads and writes between the buffer and the descriptor can
 * be operations of the loop, so that C's functions never come to wait.
 *
 * This takes the layout of glibc's FILE, which is part of its binary interface. With another C
 * library halo_stream_is_known() is false, and nothing else here may be called.
 */
#ifndef HALO_STDIO_STREAM_H
#define HALO_STDIO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

bool halo_stream_is_known(void);

/* Whether it is open for that, and its buffer is in a state that is understood here. */
bool halo_stream_can_read(const FILE *stream);
bool halo_stream_can_write(const FILE *stream);

/* ---- reading ------------------------------------------------------------------------------- */

/* The bytes that have been read and not been taken. */
const char *halo_stream_unread(const FILE *stream, size_t *length);
/* Takes so many of them. */
void halo_stream_skip(FILE *stream, size_t length);
/* As the start of each read in Lua: what was said of the end, or of an error, is forgotten. */
void halo_stream_clear(FILE *stream);
/* Says that the end was met: C does not ask the kernel again, until that is cleared. */
void halo_stream_set_end(FILE *stream);
/* Makes it ready to be filled; nothing may be pending. Returns how many bytes C would read. */
size_t halo_stream_begin_reading(FILE *stream);
/* Puts bytes from the descriptor behind the unread ones. False where memory is out. */
bool halo_stream_add(FILE *stream, const char *data, size_t length);
/* Takes the last one of the unread bytes away. */
void halo_stream_take_last(FILE *stream);
/* Puts bytes that were taken back before the unread ones. False where memory is out. */
bool halo_stream_put_back(FILE *stream, const char *data, size_t length);
/* Gives up what is unread: the descriptor's offset goes back to where C's reader is. */
void halo_stream_forget_unread(FILE *stream);

/* ---- writing ------------------------------------------------------------------------------- */

/* The bytes that have been written to it, and not to the descriptor. */
size_t halo_stream_pending(const FILE *stream);
/* Of its buffer. */
size_t halo_stream_size(const FILE *stream);
/* Whether a write was the latest that was done with it. */
bool halo_stream_is_writing(const FILE *stream);
/* Makes it ready to be written to. False where that is not possible, as C's own call will say. */
bool halo_stream_begin_writing(FILE *stream);
/* How many bytes can be written before the next one goes to the descriptor. */
size_t halo_stream_room(const FILE *stream);
/* Puts bytes into the buffer, for which there is room. */
void halo_stream_put(FILE *stream, const char *data, size_t length);
/* Whether C would only keep these bytes in its buffer. */
bool halo_stream_holds(const FILE *stream, const char *data, size_t length);
/* How many of the pending bytes and those behind them go out, where it does not hold them all. */
size_t halo_stream_due(const FILE *stream, const char *data, size_t length);
/* Says that a write has failed. */
void halo_stream_set_error(FILE *stream);
/* Moves the pending bytes out of it. */
void halo_stream_take_pending(FILE *stream, void *to);

/* ---- its descriptor ------------------------------------------------------------------------ */

/* Closes the FILE alone: the descriptor stays open. Nothing may be pending. */
void halo_stream_detach(FILE *stream);

#endif
