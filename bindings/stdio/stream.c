#include "stdio/stream.h"

#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__

/* Flags of a FILE that its header does not name. */
enum {
    OTHERS_BUFFER = 0x0001, /* not to be freed by C */
    UNBUFFERED = 0x0002,
    NO_READS = 0x0004,
    NO_WRITES = 0x0008,
    IN_BACKUP = 0x0100,
    LINE_BUFFERED = 0x0200,
    PUTTING = 0x0800,
    APPENDING = 0x1000,
};

#define UNKNOWN_OFFSET  (-1) /* C asks the kernel for it */
#define CHUNK_BYTES_MAX 65536u
#define LONG_BYTES      1024u

/* Gives a FILE the buffer that it gets with its first read. */
extern void allocate_buffer(FILE *) __asm__("_IO_doallocbuf") __attribute__((weak));

bool halo_stream_is_known(void)
{
    return allocate_buffer != NULL;
}

/* Bytes that were pushed back lie elsewhere, and wide characters are another matter. */
static bool is_plain(const FILE *stream)
{
    return stream->_mode <= 0 && !(stream->_flags & IN_BACKUP) && !stream->_IO_save_base;
}

bool halo_stream_can_read(const FILE *stream)
{
    return is_plain(stream) && !(stream->_flags & NO_READS);
}

bool halo_stream_can_write(const FILE *stream)
{
    return is_plain(stream) && !(stream->_flags & NO_WRITES);
}

size_t halo_stream_size(const FILE *stream)
{
    return (size_t)(stream->_IO_buf_end - stream->_IO_buf_base);
}

/* ---- reading ------------------------------------------------------------------------------- */

const char *halo_stream_unread(const FILE *stream, size_t *length)
{
    bool putting = stream->_flags & PUTTING;
    *length = putting ? 0 : (size_t)(stream->_IO_read_end - stream->_IO_read_ptr);
    return stream->_IO_read_ptr;
}

void halo_stream_skip(FILE *stream, size_t length)
{
    stream->_IO_read_ptr += length;
}

void halo_stream_clear(FILE *stream)
{
    stream->_flags &= ~(_IO_EOF_SEEN | _IO_ERR_SEEN);
}

void halo_stream_set_end(FILE *stream)
{
    stream->_flags |= _IO_EOF_SEEN;
}

/* From writing to reading: what was unread before the write is so again. */
static void turn_to_reading(FILE *stream)
{
    stream->_IO_read_base = stream->_IO_buf_base;
    if (stream->_IO_write_ptr > stream->_IO_read_end)
        stream->_IO_read_end = stream->_IO_write_ptr;
    stream->_IO_read_ptr = stream->_IO_write_ptr;
    stream->_IO_write_base = stream->_IO_write_end = stream->_IO_write_ptr;
    stream->_flags &= ~PUTTING;
}

size_t halo_stream_begin_reading(FILE *stream)
{
    if (stream->_flags & PUTTING)
        turn_to_reading(stream);
    if (!stream->_IO_buf_base)
        allocate_buffer(stream);
    if (stream->_flags & UNBUFFERED)
        return 1;
    size_t size = halo_stream_size(stream);
    return size < CHUNK_BYTES_MAX ? size : CHUNK_BYTES_MAX;
}

static void reset_reading(FILE *stream)
{
    char *base = stream->_IO_buf_base;
    stream->_IO_read_base = stream->_IO_read_ptr = stream->_IO_read_end = base;
    stream->_IO_write_base = stream->_IO_write_ptr = stream->_IO_write_end = base;
    stream->_offset = UNKNOWN_OFFSET;
}

/* A larger buffer, which C frees as it would have freed the other. */
static bool grow(FILE *stream, size_t size)
{
    size_t unread = (size_t)(stream->_IO_read_end - stream->_IO_read_ptr);

    bool has_none = stream->_IO_buf_base == stream->_shortbuf;
    if (stream->_flags & OTHERS_BUFFER && !has_none)
        return false;
    char *base = realloc(has_none ? NULL : stream->_IO_buf_base, size);
    if (!base)
        return false;
    if (has_none)
        base[0] = stream->_shortbuf[0];
    stream->_flags &= ~OTHERS_BUFFER;
    stream->_IO_buf_base = base;
    stream->_IO_buf_end = base + size;
    reset_reading(stream);
    stream->_IO_read_end = base + unread;
    return true;
}

/* An unbuffered one has had to keep more than its byte for a while. */
static void shrink(FILE *stream)
{
    if (!(stream->_flags & UNBUFFERED) || stream->_flags & OTHERS_BUFFER)
        return;
    free(stream->_IO_buf_base);
    stream->_flags |= OTHERS_BUFFER;
    stream->_IO_buf_base = stream->_shortbuf;
    stream->_IO_buf_end = stream->_shortbuf + 1;
    reset_reading(stream);
}

/* Moves the unread bytes so that so many are free before them, and behind. */
static bool make_room(FILE *stream, size_t before, size_t behind)
{
    size_t unread = (size_t)(stream->_IO_read_end - stream->_IO_read_ptr);
    size_t needed = before + unread + behind;

    if (!stream->_IO_buf_base)
        allocate_buffer(stream);
    if (unread == 0)
        shrink(stream);
    char *base = stream->_IO_buf_base;
    if (unread > 0)
        memmove(base, stream->_IO_read_ptr, unread);
    stream->_IO_read_ptr = base;
    stream->_IO_read_end = base + unread;
    if (needed > halo_stream_size(stream) && !grow(stream, needed + needed / 2 + LONG_BYTES))
        return false;
    base = stream->_IO_buf_base;
    memmove(base + before, base, unread);
    reset_reading(stream);
    stream->_IO_read_ptr = base + before;
    stream->_IO_read_end = base + before + unread;
    return true;
}

bool halo_stream_add(FILE *stream, const char *data, size_t length)
{
    if (!make_room(stream, 0, length))
        return false;
    memcpy(stream->_IO_read_end, data, length);
    stream->_IO_read_end += length;
    return true;
}

void halo_stream_take_last(FILE *stream)
{
    stream->_IO_read_end--;
}

bool halo_stream_put_back(FILE *stream, const char *data, size_t length)
{
    if (make_room(stream, length, 0)) {
        stream->_IO_read_ptr = memcpy(stream->_IO_read_ptr - length, data, length);
        return true;
    }
    while (length > 0 && ungetc((unsigned char)data[length - 1], stream) != EOF)
        length--;
    return length == 0;
}

void halo_stream_forget_unread(FILE *stream)
{
    size_t unread;

    if (stream->_flags & PUTTING)
        turn_to_reading(stream);
    halo_stream_unread(stream, &unread);
    if (unread == 0 || lseek(stream->_fileno, -(off_t)unread, SEEK_CUR) >= 0)
        reset_reading(stream);
}

/* ---- writing ------------------------------------------------------------------------------- */

size_t halo_stream_pending(const FILE *stream)
{
    bool putting = stream->_flags & PUTTING;
    return putting ? (size_t)(stream->_IO_write_ptr - stream->_IO_write_base) : 0;
}

bool halo_stream_is_writing(const FILE *stream)
{
    return stream->_flags & PUTTING && stream->_IO_write_base;
}

bool halo_stream_begin_writing(FILE *stream)
{
    if (halo_stream_is_writing(stream))
        return true;
    return __overflow(stream, EOF) != EOF;
}

size_t halo_stream_room(const FILE *stream)
{
    bool putting = stream->_flags & PUTTING;
    ptrdiff_t room = stream->_IO_write_end - stream->_IO_write_ptr;
    return putting && room > 0 ? (size_t)room : 0;
}

void halo_stream_put(FILE *stream, const char *data, size_t length)
{
    memcpy(stream->_IO_write_ptr, data, length);
    stream->_IO_write_ptr += length;
}

/* What is free in the buffer, whatever C makes of a newline. */
static size_t space(const FILE *stream)
{
    return (size_t)(stream->_IO_buf_end - stream->_IO_write_ptr);
}

bool halo_stream_holds(const FILE *stream, const char *data, size_t length)
{
    if (!(stream->_flags & LINE_BUFFERED))
        return length <= halo_stream_room(stream);
    return length <= space(stream) && !memchr(data, '\n', length);
}

size_t halo_stream_due(const FILE *stream, const char *data, size_t length)
{
    size_t pending = halo_stream_pending(stream), size = halo_stream_size(stream);
    bool by_line = stream->_flags & LINE_BUFFERED;
    const char *newline = memrchr(data, '\n', length);

    if (size < 2 || stream->_flags & UNBUFFERED)
        return pending + length;
    size_t filled = by_line ? space(stream) : halo_stream_room(stream);
    if (by_line && newline && length <= filled)
        return pending + (size_t)(newline + 1 - data);
    if (filled > length)
        filled = length;
    /* Behind a full buffer go as many of its size as there are, and of the rest whole lines. */
    size_t gone = length - (length - filled) % size;
    if (by_line && newline && newline >= data + gone)
        gone = (size_t)(newline + 1 - data);
    return pending + gone;
}

void halo_stream_set_error(FILE *stream)
{
    stream->_flags |= _IO_ERR_SEEN;
}

void halo_stream_take_pending(FILE *stream, void *to)
{
    size_t pending = halo_stream_pending(stream);

    if (pending > 0)
        memcpy(to, stream->_IO_write_base, pending);
    /* What was read ahead of the write lies before it. */
    if (!(stream->_flags & APPENDING) && stream->_IO_read_end != stream->_IO_write_base)
        lseek(stream->_fileno, stream->_IO_write_base - stream->_IO_read_end, SEEK_CUR);
    reset_reading(stream);
    if (!(stream->_flags & (LINE_BUFFERED | UNBUFFERED)))
        stream->_IO_write_end = stream->_IO_buf_end;
}

/* ---- its descriptor ------------------------------------------------------------------------ */

void halo_stream_detach(FILE *stream)
{
    stream->_fileno = -1;
    fclose(stream);
}

#else

bool halo_stream_is_known(void)
{
    return false;
}

#endif
