/*
 * The core over a kernel that does what the input says: see kernel.h. The input is a program, too:
 * which operations are submitted, cancelled, abandoned, and when the loop makes a turn. Whatever
 * comes,
 *
 *   - an operation is handed back once, with a result that its kind may have;
 *   - what the kernel has is neither freed nor given to another: the kernel looks;
 *   - the bytes of a stream come in order, each to one reader, though others give up;
 *   - a completion that nobody knows is counted and does nothing;
 *   - in the end as many operations have retired as were submitted, and no descriptor is open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <poll.h>

#include "halo.h"
#include "kernel.h"

#define FILES_MAX  8
#define WORKS_MAX  512
#define COMMANDS   256
#define NAME       "halo-fuzz/none"
#define LENGTH_MAX 3000
#define GUARD      16 /* bytes behind a buffer that stay as they are */
#define GUARD_BYTE 0x5c

/* An operation, as its caller knows it. */
struct work {
    struct halo_op *op;
    uint64_t file;
    uint8_t *data;
    size_t length;
    unsigned flags;
    enum halo_op_code code;
    bool abandoned, ended;
};

/* What the caller has of a file. */
struct file {
    uint64_t handle;
    uint64_t read; /* bytes of a stream */
    bool stream;
    bool disturbed; /* whose bytes come in another order: nobody took some that were there */
};

static struct {
    struct input input;
    struct halo_loop *loop;
    struct work works[WORKS_MAX];
    struct file files[FILES_MAX];
    size_t count;
} run;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

/* ---- what has ended ------------------------------------------------------------------------ */

static struct file *find_file(uint64_t handle)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (run.files[i].handle == handle && handle)
            return &run.files[i];
    return NULL;
}

static void check_stream(const struct work *work, const struct halo_op *op)
{
    struct file *file = find_file(work->file);

    if (!file || !file->stream || file->disturbed || op->result <= 0 || !op->data)
        return;
    for (int64_t i = 0; i < op->result; i++)
        if (op->data[i] != kernel_stream_byte(file->read + (uint64_t)i))
            fuzz_fail("byte %llu of a stream was lost, or came twice",
                      (unsigned long long)file->read + (unsigned long long)i);
    if (!(work->flags & HALO_READ_PEEK))
        file->read += (uint64_t)op->result;
}

static void check_guard(const struct work *work)
{
    for (size_t i = 0; work->data && i < GUARD; i++)
        if (work->data[work->length + i] != GUARD_BYTE)
            fuzz_fail("%s wrote behind its buffer", halo_op_name(work->op));
}

static void take_file(struct halo_op *op)
{
    struct halo_file_info info;
    struct file *free_place = NULL;

    for (size_t i = 0; i < FILES_MAX; i++)
        if (!run.files[i].handle)
            free_place = &run.files[i];
    if (halo_file_info(run.loop, op->file, &info) != 0)
        fuzz_fail("a file that was opened is not open");
    if (free_place)
        *free_place = (struct file){.handle = op->file, .stream = info.stream};
    else
        halo_file_drop(run.loop, op->file);
}

static void check_result(const struct work *work, struct halo_op *op)
{
    int64_t result = op->result;

    if (result < -4095 || (result <= -512 && result >= -516))
        fuzz_fail("%s gave %lld", halo_op_name(op), (long long)result);
    if (work->code == HALO_OP_WRITE && result >= 0 && (size_t)result != work->length)
        fuzz_fail("a write of %zu bytes gave %lld", work->length, (long long)result);
    if (work->code == HALO_OP_READ && !(work->flags & HALO_READ_ALL) &&
        result > (int64_t)work->length)
        fuzz_fail("a read of %zu bytes gave %lld", work->length, (long long)result);
}

/* The operation has come back, and whatever was lent to it. */
static void finish(struct work *work)
{
    struct halo_op *op = work->op;

    if (work->ended)
        fuzz_fail("%s was handed back twice", halo_op_name(op));
    work->ended = true;
    check_guard(work);
    if (!work->abandoned) {
        check_result(work, op);
        if (work->code == HALO_OP_READ)
            check_stream(work, op);
        if (work->code == HALO_OP_OPEN && op->result == 0)
            take_file(op);
    }
    halo_op_release(run.loop, op);
    free(work->data);
    work->data = NULL;
    work->op = NULL;
}

static void take_ended(unsigned most)
{
    struct halo_op *op;
    while (most-- > 0 && (op = halo_loop_next(run.loop)))
        finish(op->user);
}

/* ---- commands ------------------------------------------------------------------------------ */

static struct work *new_work(enum halo_op_code code)
{
    if (run.count == WORKS_MAX)
        return NULL;
    struct work *work = &run.works[run.count];
    struct halo_op *op = halo_op_new(run.loop, code);
    if (!op)
        fuzz_fail("no memory");
    *work = (struct work){.op = op, .code = code};
    op->user = work;
    run.count++;
    return work;
}

static void lend(struct work *work, size_t length)
{
    work->length = work->op->length = length;
    work->data = malloc(length + GUARD);
    if (!work->data)
        fuzz_fail("no memory");
    memset(work->data, 1, length);
    memset(work->data + length, GUARD_BYTE, GUARD);
    work->op->data = work->data;
}

static void submit(struct work *work)
{
    if (!halo_op_submit(run.loop, work->op, 0))
        finish(work);
}

static void set_path(struct halo_op *op, bool two)
{
    if (halo_op_set_paths(op, NAME, strlen(NAME), two ? NAME : NULL, two ? strlen(NAME) : 0) < 0)
        fuzz_fail("no memory");
}

static void submit_by_path(void)
{
    static const enum halo_op_code codes[] = {HALO_OP_OPEN,  HALO_OP_OPEN,   HALO_OP_STAT,
                                              HALO_OP_LSTAT, HALO_OP_RENAME, HALO_OP_REMOVE,
                                              HALO_OP_MKDIR, HALO_OP_RMDIR,  HALO_OP_SYMLINK};
    static const uint32_t flags[] = {O_RDWR, O_RDONLY, O_WRONLY | O_APPEND,
                                     O_RDWR | O_CREAT | O_EXCL};
    struct work *work = new_work(codes[input_below(&run.input, 9)]);

    if (!work)
        return;
    set_path(work->op, work->code == HALO_OP_RENAME || work->code == HALO_OP_SYMLINK);
    work->op->mode = 0600;
    if (work->code == HALO_OP_OPEN)
        work->op->flags = flags[input_below(&run.input, 4)];
    submit(work);
}

static void choose_read(struct work *work)
{
    static const unsigned flags[] = {0, 0, 0, HALO_READ_ALL, HALO_READ_PEEK};
    struct halo_op *op = work->op;

    work->flags = op->flags = flags[input_below(&run.input, 5)];
    work->length = op->length = input_number(&run.input, 2) % LENGTH_MAX;
    if (!(op->flags & HALO_READ_ALL) && input_below(&run.input, 2))
        lend(work, op->length);
    if (input_below(&run.input, 4) == 1)
        op->offset = input_byte(&run.input);
}

static void submit_on_file(void)
{
    static const enum halo_op_code codes[] = {
        HALO_OP_READ,      HALO_OP_READ,      HALO_OP_READ,  HALO_OP_WRITE, HALO_OP_WRITE,
        HALO_OP_FSYNC,     HALO_OP_FDATASYNC, HALO_OP_FSTAT, HALO_OP_LOCK,  HALO_OP_POLL,
        HALO_OP_FTRUNCATE, HALO_OP_FALLOCATE, HALO_OP_CLOSE};
    const struct file *file = &run.files[input_below(&run.input, FILES_MAX)];
    struct work *work = file->handle ? new_work(codes[input_below(&run.input, 13)]) : NULL;

    if (!work)
        return;
    struct halo_op *op = work->op;
    work->file = op->file = file->handle;
    if (work->code == HALO_OP_READ)
        choose_read(work);
    if (work->code == HALO_OP_WRITE) {
        lend(work, input_number(&run.input, 2) % LENGTH_MAX);
        op->flags = input_below(&run.input, 3) == 1 ? HALO_WRITE_BEHIND : 0;
    }
    if (work->code == HALO_OP_LOCK)
        op->flags = input_below(&run.input, 2) ? LOCK_EX : LOCK_UN;
    if (work->code == HALO_OP_POLL) {
        op->fd = halo_file_fd(run.loop, file->handle);
        op->flags = POLLIN;
    }
    if (work->code == HALO_OP_FTRUNCATE || work->code == HALO_OP_FALLOCATE)
        op->offset = input_byte(&run.input), op->length = 1;
    if (work->code == HALO_OP_CLOSE)
        find_file(file->handle)->handle = 0;
    submit(work);
}

static struct work *choose_work(void)
{
    size_t at = input_byte(&run.input);
    struct work *work = run.count ? &run.works[run.count - 1 - at % run.count] : NULL;
    return work && !work->ended && !work->abandoned ? work : NULL;
}

/* A read that has ended, and whose bytes go back: another may have read on already. */
static void abandon(struct work *work)
{
    struct file *file = find_file(work->file);

    if (file && halo_op_has_ended(work->op))
        file->disturbed = true;
    work->abandoned = true;
    halo_op_abandon(run.loop, work->op);
}

static void obey(unsigned command)
{
    struct work *work;

    switch (command) {
    case 0:
    case 1:
    case 2:
        submit_by_path();
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        submit_on_file();
        break;
    case 7:
        if ((work = choose_work()))
            halo_op_cancel(run.loop, work->op);
        break;
    case 8:
        if ((work = choose_work()))
            abandon(work);
        break;
    case 9:
        halo_loop_interrupt(run.loop);
        break;
    case 10:
        take_ended(1);
        break;
    default:
        halo_loop_turn(run.loop, input_below(&run.input, 2) ? 0 : 1000000);
        if (input_below(&run.input, 4) > 0)
            take_ended(WORKS_MAX);
    }
}

/* ---- the end ------------------------------------------------------------------------------- */

static void check_stats(void)
{
    struct halo_stats stats;

    halo_loop_stats(run.loop, &stats);
    if (stats.unknown != kernel_unknown())
        fuzz_fail("%llu completions that nobody knows were counted as %llu",
                  (unsigned long long)kernel_unknown(), (unsigned long long)stats.unknown);
    if (stats.retired > stats.submitted || stats.in_flight > run.count + FILES_MAX)
        fuzz_fail("%llu operations were submitted, %llu have retired",
                  (unsigned long long)stats.submitted, (unsigned long long)stats.retired);
}

static void check_all_ended(void)
{
    struct halo_stats stats;

    for (unsigned i = 0; i < 200 && halo_loop_busy(run.loop); i++) {
        halo_loop_turn(run.loop, 100000000);
        take_ended(WORKS_MAX);
    }
    halo_loop_stats(run.loop, &stats);
    if (stats.retired != stats.submitted || stats.queued > 0)
        kernel_tell_left();
    if (stats.retired != stats.submitted || stats.queued > 0)
        fuzz_fail("%llu operations were submitted, %llu have retired",
                  (unsigned long long)stats.submitted, (unsigned long long)stats.retired);
    for (size_t i = 0; i < run.count; i++)
        if (!run.works[i].ended)
            fuzz_fail("%s was never handed back", halo_op_name(run.works[i].op));
}

/* Either all that is left is cancelled and comes back, or the loop is closed over it. */
static void end(bool drains)
{
    check_stats();
    kernel_be_kind();
    if (!drains) {
        for (size_t i = 0; i < run.count; i++)
            if (!run.works[i].ended && !halo_op_has_ended(run.works[i].op))
                halo_op_cancel(run.loop, run.works[i].op);
        check_all_ended();
    }
    unsigned left = halo_loop_close(run.loop, 10000);
    if (left > 0) {
        kernel_tell_left();
        fuzz_fail("%u operations have not ended", left);
    }
    for (size_t i = 0; i < run.count; i++)
        free(run.works[i].data);
    kernel_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&run, 0, sizeof(run));
    run.input = (struct input){data, data + size};
    kernel_begin(&run.input);
    struct halo_config config = {
        .engine = HALO_ENGINE_RING,
        .max_in_flight = 1 + input_below(&run.input, 8),
        .pool_threads = 1 + input_below(&run.input, 4),
        .max_files = 1 + input_below(&run.input, 16),
    };
    bool drains = input_below(&run.input, 2) == 1;
    if (halo_loop_create(&run.loop, &config) < 0)
        fuzz_fail("no loop");
    kernel_serve(run.loop);
    for (unsigned i = 0; i < COMMANDS && input_has_more(&run.input); i++)
        obey(input_below(&run.input, 16));
    end(drains);
    return 0;
}
