/*
 * Handles of files, of two loops, each over a kernel that does what the input says: see kernel.h.
 * The input opens, adopts, uses, closes and drops files, with handles that are good, stale, of the
 * other loop, or just numbers.
 *
 *   - A handle reaches the file that it was given for, or nothing: never another file.
 *   - Once its file is closed it gives EBADF, to every call and operation.
 *   - A descriptor stays open as long as an operation uses it, and is closed after that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "halo.h"
#include "kernel.h"

#define LOOPS       2
#define HANDLES_MAX 256
#define COMMANDS    400
#define OPS_MAX     64
#define FILES_LIMIT 40

/* A handle that was given, and what it was given for. */
struct known {
    uint64_t handle;
    ino_t inode;
    bool alive;
};

static struct {
    struct input input;
    struct halo_loop *loops[LOOPS];
    struct known known[LOOPS][HANDLES_MAX];
    size_t count[LOOPS];
    unsigned under_way;
    unsigned at; /* the loop that the kernel serves now */
} run;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

static struct halo_loop *loop(void)
{
    return run.loops[run.at];
}

/* ---- what is known ------------------------------------------------------------------------- */

static ino_t inode_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        fuzz_fail("descriptor %d is not open: %s", fd, strerror(errno));
    return status.st_ino;
}

static void learn(uint64_t handle, ino_t inode)
{
    for (size_t i = 0; i < run.count[run.at]; i++)
        if (run.known[run.at][i].handle == handle)
            fuzz_fail("handle %llx came back", (unsigned long long)handle);
    if (handle == 0)
        fuzz_fail("a handle is 0");
    if (run.count[run.at] < HANDLES_MAX)
        run.known[run.at][run.count[run.at]++] = (struct known){handle, inode, true};
}

static struct known *find_known(uint64_t handle)
{
    for (size_t i = 0; i < run.count[run.at]; i++)
        if (run.known[run.at][i].handle == handle)
            return &run.known[run.at][i];
    return NULL;
}

static bool is_alive(uint64_t handle)
{
    const struct known *known = find_known(handle);
    return known && known->alive;
}

/* One that was given, here or by the other loop; a number near one; or any number. */
static uint64_t draw_handle(void)
{
    unsigned how = input_below(&run.input, 8);
    size_t count = run.count[how == 5 ? !run.at : run.at];
    const struct known *known = run.known[how == 5 ? !run.at : run.at];

    if (how == 7)
        return input_number(&run.input, 8);
    uint64_t handle = count ? known[input_byte(&run.input) % count].handle : 0;
    if (how == 6)
        handle ^= 1ull << input_below(&run.input, 64);
    return handle;
}

/* ---- calls --------------------------------------------------------------------------------- */

/* Those of the other loop may be the same numbers, and then are of a file here. */
static void look_up(uint64_t handle)
{
    struct halo_file_info info;
    const struct known *known = find_known(handle);
    int fd = halo_file_fd(loop(), handle);
    int told = halo_file_info(loop(), handle, &info);

    if (!is_alive(handle)) {
        if (fd != -EBADF || told != -EBADF)
            fuzz_fail("handle %llx is stale, and gives %d", (unsigned long long)handle, fd);
        return;
    }
    if (fd < 0 || told != 0)
        fuzz_fail("handle %llx is not known", (unsigned long long)handle);
    if (inode_of(fd) != known->inode)
        fuzz_fail("handle %llx reaches another file", (unsigned long long)handle);
}

static void adopt(void)
{
    uint64_t handle;
    int fd = kernel_open(input_below(&run.input, 2) == 1);
    int error = halo_file_adopt(loop(), fd, false, &handle);

    if (error == 0)
        learn(handle, inode_of(fd));
    else if (error == -EMFILE)
        close(fd);
    else
        fuzz_fail("a file cannot be adopted: %d", error);
}

static void seek(uint64_t handle)
{
    int error = halo_file_seek(loop(), handle, input_byte(&run.input));
    if ((error == -EBADF) == is_alive(handle))
        fuzz_fail("a seek of handle %llx gives %d", (unsigned long long)handle, error);
}

static void confine(uint64_t handle)
{
    int error = halo_file_confine(loop(), handle, input_below(&run.input, 8));
    if ((error == -EBADF) == is_alive(handle))
        fuzz_fail("handle %llx is confined by %d", (unsigned long long)handle, error);
}

static void drop(uint64_t handle)
{
    struct known *known = find_known(handle);
    halo_file_drop(loop(), handle);
    if (known)
        known->alive = false;
}

/* ---- operations ---------------------------------------------------------------------------- */

/* What it was submitted with is in it still. A stale handle was refused at once. */
static void finish(struct halo_op *op)
{
    run.under_way--;
    if (halo_op_kind(op) == HALO_OP_OPEN && op->result == 0) {
        int fd = halo_file_fd(loop(), op->file);
        if (fd < 0)
            fuzz_fail("a file that was opened is not known");
        learn(op->file, inode_of(fd));
    }
    halo_op_release(loop(), op);
}

static void submit(struct halo_op *op, bool refused)
{
    run.under_way++;
    op->user = NULL;
    if (halo_op_submit(loop(), op, 0)) {
        if (refused)
            fuzz_fail("%s was begun with a stale handle", halo_op_name(op));
        return;
    }
    if (refused && op->result != -EBADF)
        fuzz_fail("%s gave %lld for a stale handle", halo_op_name(op), (long long)op->result);
    finish(op);
}

static struct halo_op *new_op(enum halo_op_code code)
{
    struct halo_op *op = run.under_way < OPS_MAX ? halo_op_new(loop(), code) : NULL;
    if (op && code == HALO_OP_OPEN && halo_op_set_paths(op, "none", 4, NULL, 0) < 0)
        fuzz_fail("no memory");
    return op;
}

static void submit_open(void)
{
    struct halo_op *op = new_op(HALO_OP_OPEN);

    if (!op)
        return;
    op->base = input_below(&run.input, 4) == 1 ? draw_handle() : 0;
    submit(op, op->base && !is_alive(op->base));
}

static void submit_on_file(void)
{
    static const enum halo_op_code codes[] = {HALO_OP_READ, HALO_OP_FSTAT, HALO_OP_FSYNC,
                                              HALO_OP_FTRUNCATE};
    struct halo_op *op = new_op(codes[input_below(&run.input, 4)]);

    if (!op)
        return;
    op->file = draw_handle();
    op->length = input_byte(&run.input);
    if (halo_op_kind(op) == HALO_OP_FTRUNCATE)
        op->offset = 0;
    submit(op, !is_alive(op->file));
}

static void submit_close(void)
{
    struct halo_op *op = new_op(HALO_OP_CLOSE);

    if (!op)
        return;
    op->file = draw_handle();
    bool refused = !is_alive(op->file);
    if (!refused)
        find_known(op->file)->alive = false;
    submit(op, refused);
}

static void turn(void)
{
    struct halo_op *op;

    halo_loop_turn(loop(), input_below(&run.input, 2) ? 0 : 1000000);
    while ((op = halo_loop_next(loop())))
        finish(op);
}

static void obey(unsigned command)
{
    switch (command) {
    case 0:
    case 1:
        adopt();
        break;
    case 2:
        submit_open();
        break;
    case 3:
    case 4:
        submit_on_file();
        break;
    case 5:
        submit_close();
        break;
    case 6:
        drop(draw_handle());
        break;
    case 7:
        seek(draw_handle());
        break;
    case 8:
        confine(draw_handle());
        break;
    case 9:
    case 10:
        look_up(draw_handle());
        break;
    case 11:
        run.at = !run.at;
        kernel_serve(loop());
        break;
    default:
        turn();
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void begin(unsigned at)
{
    struct halo_config config = {
        .engine = HALO_ENGINE_RING,
        .max_in_flight = 1 + input_below(&run.input, 8),
        .max_files = 1 + input_below(&run.input, FILES_LIMIT),
    };
    if (halo_loop_create(&run.loops[at], &config) < 0)
        fuzz_fail("no loop");
}

static void end(unsigned at)
{
    struct halo_stats stats;
    size_t alive = 0;

    run.at = at;
    kernel_serve(loop());
    for (size_t i = 0; i < run.count[at]; i++) {
        look_up(run.known[at][i].handle);
        alive += run.known[at][i].alive;
    }
    halo_loop_stats(loop(), &stats);
    if (stats.files_open < alive)
        fuzz_fail("%zu files are open, and counted as %llu", alive,
                  (unsigned long long)stats.files_open);
    kernel_be_kind();
    unsigned left = halo_loop_close(loop(), 10000);
    if (left > 0)
        fuzz_fail("%u operations have not ended", left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&run, 0, sizeof(run));
    run.input = (struct input){data, data + size};
    kernel_begin(&run.input);
    for (unsigned i = 0; i < LOOPS; i++)
        begin(i);
    kernel_serve(loop());
    for (unsigned i = 0; i < COMMANDS && input_has_more(&run.input); i++)
        obey(input_below(&run.input, 16));
    for (unsigned i = 0; i < LOOPS; i++)
        end(i);
    kernel_end();
    return 0;
}
