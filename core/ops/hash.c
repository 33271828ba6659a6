/*
 * Digests of whole files, by xxHash and libmd. A worker reads a file in pieces, so that it takes
 * little memory, and looks between two whether it has been cancelled.
 */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sha2.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "loop.h"
#include "ops/shared.h"

#define PIECE_BYTES       (128u << 10) /* between two looks */
#define ALIGNMENT         4096u        /* for files that are open with O_DIRECT */
#define TRY_SHA_BYTES_MAX (64 << 10)   /* take as long as HALO_TRY_BYTES_MAX of the other */
#define DIGITS_MAX        (2L * SHA256_DIGEST_LENGTH)

/* One of the two, as op->flags says. */
union digest {
    XXH3_state_t xxh3;
    SHA2_CTX sha256;
};

static bool is_sha256(const struct halo_op *op)
{
    return op->flags & HALO_HASH_SHA256;
}

static void start(const struct halo_op *op, union digest *digest)
{
    if (is_sha256(op))
        SHA256Init(&digest->sha256);
    else
        XXH3_64bits_reset(&digest->xxh3);
}

static void add(const struct halo_op *op, union digest *digest, const void *data, size_t length)
{
    if (is_sha256(op))
        SHA256Update(&digest->sha256, data, length);
    else
        XXH3_64bits_update(&digest->xxh3, data, length);
}

/* Writes the digest to text, which has room for DIGITS_MAX and a NUL. Returns its length. */
static int64_t finish(const struct halo_op *op, union digest *digest, char *text)
{
    uint8_t bytes[SHA256_DIGEST_LENGTH];

    if (!is_sha256(op))
        return sprintf(text, "%016" PRIx64, (uint64_t)XXH3_64bits_digest(&digest->xxh3));
    SHA256Final(bytes, &digest->sha256);
    for (size_t i = 0; i < sizeof(bytes); i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    return DIGITS_MAX;
}

/* Returns the bytes read, 0 at the end, or -errno; at_once, EAGAIN where it would have to wait. */
static int64_t read_piece(const struct halo_op *op, int fd, void *piece, off_t offset, bool at_once)
{
    const struct iovec room = {.iov_base = piece, .iov_len = PIECE_BYTES};
    unsigned tries = 0;
    ssize_t got;

    do {
        if (halo_op_is_cancelled(op))
            return -ECANCELED;
        got = preadv2(fd, &room, 1, offset, at_once ? RWF_NOWAIT : 0);
    } while (got < 0 && errno == EINTR && halo_op_retries(op, &tries));
    if (got < 0 && at_once && errno == EOPNOTSUPP)
        return -EAGAIN;
    return got < 0 ? -errno : got;
}

/* Streams have no contents to read again, and to wait for their end could take for ever. */
static int64_t check_file(const struct halo_op *op, int fd, bool at_once)
{
    struct stat status;

    int error = halo_op_fstat(op, fd, &status);
    if (error)
        return error;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -ESPIPE;
    off_t most = is_sha256(op) ? TRY_SHA_BYTES_MAX : HALO_TRY_BYTES_MAX;
    return at_once && status.st_size > most ? -EAGAIN : 0;
}

/* The digits stand in the operation's storage, where the pieces were, behind what is kept. */
static int64_t hash_open(struct halo_op *op, int fd, size_t kept, bool at_once)
{
    union digest digest;
    int64_t got = check_file(op, fd, at_once);
    off_t offset = 0;

    if (got < 0)
        return got;
    if (!halo_op_storage(op, kept + ALIGNMENT + PIECE_BYTES))
        return -ENOMEM;
    uintptr_t behind = (uintptr_t)op->storage + kept;
    op->data = (uint8_t *)((behind + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
    start(op, &digest);
    while ((got = read_piece(op, fd, op->data, offset, at_once)) > 0) {
        add(op, &digest, op->data, (size_t)got);
        offset += got;
    }
    return got < 0 ? got : finish(op, &digest, (char *)op->data);
}

/* What is no file is not even opened: a FIFO's writer would lose what it writes after the close. */
static int64_t hash_path(struct halo_op *op, bool at_once)
{
    int place = halo_op_open_at(op, op->path, O_PATH, 0, at_once);
    if (place < 0)
        return place;
    int64_t result = check_file(op, place, at_once);
    close(place);
    if (result < 0)
        return result;
    int fd = halo_op_open_at(op, op->path, O_RDONLY, 0, at_once);
    if (fd < 0)
        return fd;
    result = hash_open(op, fd, strlen(op->path) + 1, at_once);
    close(fd);
    return result;
}

static int64_t hash_block(struct halo_op *op)
{
    return hash_path(op, false);
}

static int64_t hash_attempt(struct halo_op *op)
{
    return hash_path(op, true);
}

static int64_t fhash_block(struct halo_op *op)
{
    return hash_open(op, op->fd, 0, false);
}

static int64_t fhash_attempt(struct halo_op *op)
{
    return hash_open(op, op->fd, 0, true);
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_hash_row = {
    .code = HALO_OP_HASH,
    .name = "hash",
    .opcode = HALO_NO_OPCODE,
    .quick = true,
    .lengthy = true,
    .opens = true,
    .only_reads = true,
    .attempt = hash_attempt,
    .block = hash_block,
};

const struct halo_op_row halo_fhash_row = {
    .code = HALO_OP_FHASH,
    .name = "fhash",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .after_strays = true,
    .quick = true,
    .lengthy = true,
    .attempt = fhash_attempt,
    .block = fhash_block,
};
