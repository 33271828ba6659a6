/*
 * FIFOs with somebody at their other end, who takes his time: a source writes its bytes bit by bit
 * and then closes; a sink begins to read at some time, and makes room bit by bit.
 *
 * Each byte of a source says which one it is, as far as a byte can, so that one that is lost, or
 * comes twice, or out of order, shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "model.h"
#include "trace.h"
#include "weather.h"

#define CAPACITY 4096
#define PAUSE_NS 200000

struct model_stream {
    bool source;
    bool silent;    /* one that never gives anything, and never closes */
    size_t total;   /* a source's bytes, */
    size_t given;   /* of those, the ones in the FIFO or read, */
    size_t taken;   /* and the ones read */
    size_t waiting; /* a sink's bytes that its reader has not taken */
    bool has_reader;
    uint64_t next_ns;
    struct model_node *node;
    struct model_stream *next;
};

static struct model_stream *streams;

static struct model_stream *add(const char *path, bool source)
{
    struct model_node *node;
    struct model_stream *stream = calloc(1, sizeof(*stream));

    if (!stream || model_mknod(AT_FDCWD, path, S_IFIFO | 0600) < 0 ||
        model_find(AT_FDCWD, path, false, &node) < 0)
        fail("no stream %s", path);
    node->stream = stream;
    node->links++; /* it stays, whatever becomes of its name */
    *stream = (struct model_stream){
        .source = source, .node = node, .next = streams, .next_ns = clock_now_ns()};
    return streams = stream;
}

int model_add_source(const char *path, size_t total)
{
    add(path, true)->total = total;
    return 0;
}

int model_add_silent(const char *path)
{
    add(path, true)->silent = true;
    return 0;
}

int model_add_sink(const char *path)
{
    add(path, false)->next_ns += weather_below(10ull * PAUSE_NS);
    return 0;
}

uint8_t model_source_byte(const struct model_node *node, size_t at)
{
    uint64_t mixed = (at + 1) * 0x9e3779b97f4a7c15 ^ node->ino * 0xbf58476d1ce4e5b9;
    return (uint8_t)(mixed >> 40);
}

bool model_stream_has_reader(const struct model_node *node)
{
    return node->stream->has_reader;
}

/* ---- the other end ------------------------------------------------------------------------- */

static bool has_ended(const struct model_stream *stream)
{
    return stream->source && !stream->silent && stream->given == stream->total;
}

/* Nothing happens by itself where a source has ended, is full, or a sink is empty. */
static bool acts(const struct model_stream *stream)
{
    if (stream->silent)
        return false;
    if (stream->source)
        return !has_ended(stream) && stream->given - stream->taken < CAPACITY;
    return !stream->has_reader || stream->waiting > 0;
}

uint64_t model_streams_next_ns(void)
{
    uint64_t first = UINT64_MAX;
    for (const struct model_stream *stream = streams; stream; stream = stream->next)
        if (acts(stream) && stream->next_ns < first)
            first = stream->next_ns;
    return first;
}

static void act(struct model_stream *stream)
{
    size_t most = stream->total - stream->given;

    if (stream->source) {
        size_t room = CAPACITY - (stream->given - stream->taken);
        most = most < room ? most : room;
        stream->given += 1 + weather_below(most);
    } else if (!stream->has_reader) {
        stream->has_reader = true;
    } else {
        stream->waiting -= 1 + weather_below(stream->waiting);
    }
    trace("stream", stream->node->ino, (int64_t)(stream->given + stream->waiting));
}

void model_streams_pass(void)
{
    for (struct model_stream *stream = streams; stream; stream = stream->next) {
        if (!acts(stream) || stream->next_ns > clock_now_ns())
            continue;
        act(stream);
        stream->next_ns = clock_now_ns() + 1 + weather_below(PAUSE_NS);
    }
}

/* ---- this end ------------------------------------------------------------------------------ */

ssize_t model_stream_read(struct model_node *node, void *data, size_t length)
{
    struct model_stream *stream = node->stream;
    size_t there = stream->given - stream->taken;

    if (!stream->source || (there == 0 && !has_ended(stream)))
        return -EAGAIN;
    if (length > there)
        length = there;
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)data)[i] = model_source_byte(node, stream->taken + i);
    stream->taken += length;
    return (ssize_t)length;
}

/* What is written is kept behind one another, for the checks. */
ssize_t model_stream_write(struct model_node *node, const void *data, size_t length)
{
    struct model_stream *stream = node->stream;
    size_t room = CAPACITY - stream->waiting;

    if (stream->source)
        return -EPIPE;
    if (length > 0 && room == 0)
        return -EAGAIN;
    if (length > room)
        length = room;
    if (node->size + length > node->room) {
        node->room = 2 * (node->size + length);
        node->data = realloc(node->data, node->room);
        if (!node->data)
            fail("out of memory");
    }
    memcpy(node->data + node->size, data, length);
    node->size += length;
    stream->waiting += length;
    return (ssize_t)length;
}

short model_poll(int fd, short wanted)
{
    const struct model_handle *handle = model_handle(fd);
    if (!handle)
        return POLLNVAL;
    const struct model_stream *stream = handle->node->stream;
    short ready = 0;
    if (!stream)
        return wanted;
    if (stream->source && (stream->given > stream->taken || has_ended(stream)))
        ready |= POLLIN;
    if (!stream->source && stream->waiting < CAPACITY)
        ready |= POLLOUT;
    return (short)(ready & wanted);
}
