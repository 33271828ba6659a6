-- The branches of core/ that no spec takes, and why: `make coverage` insists that this is all of
-- them. A place is named by its function and the text of its line; branches says how many of the
-- line's are left, 1 by default. What is listed and was taken after all does no harm.

---@class coverage.uncovered
---@field file string
---@field fn string
---@field text string
---@field branches integer?
---@field why string

---@type coverage.uncovered[]
local uncovered = {}

local function add(file, why, places)
  for _, place in ipairs(places) do
    table.insert(uncovered,
      { file = file, fn = place[1], text = place[2], branches = place[3], why = why })
  end
end

add("core/dispatch.c", "what has ended, a pause and a timer all at once in a turn", {
  { "halo_dispatch_pause", "if (!loop->pause_timer.index &&" },
})

add("core/engines/ring.c",
  "a full queue of the kernel's, a completion or a refusal at the very moment", {
  { "cancel_owed",
    "if (op && op->cancelled && op->state == HALO_OP_RUNNING &&"
      .. " !op->in_pool && !op->in_poller)", 2 },
  { "check_submitted",
    "if (result < 0 && !busy && !interrupted && result != -ETIME && !ring->refused)" },
  { "check_submitted", "if (ring->held == held)" },
  { "complete", "if (!op || op->in_pool) {" },
  { "emit", "bool long_enough = tries == SUBMIT_TRIES || halo_loop_is_interrupted(ring->loop);" },
  { "give_up", "if (!op || op->state != HALO_OP_RUNNING || op->in_pool || op->in_poller)" },
  { "ring_pending", "bool unseen = ring->stranded > 0 || ring->poller.watched > 0;" },
  { "take_away", "if (op->cancelled)" },
  { "take_sqe", "bool room = !ring->refused && ring->held < ring->uring.cq.ring_entries;" },
  { "wait_without_ring",
    "if (ring->stranded > 0 && (timeout_ns < 0 || timeout_ns > PAUSE_NS))", 5 },
})

add("core/engines/ring.c",
  "a terminal whose settings change while a poll of it is being cancelled", {
  { "complete", "if (polls && result == -EINVAL && !op->cancelled) {" },
  { "complete", "if (polls && result == -EINVAL)" },
})

add("core/engines/ring.c",
  "a host's descriptor, or a kernel before 5.19, in a turn that does not wait", {
  { "has_work", "if (!ring->tells_work)" },
  { "ring_fd", "if (!ring->refused && io_uring_register_eventfd(&ring->uring, fd) < 0) {" },
  { "ring_fd", "if (fd < 0)" },
  { "ring_fd", "if (ring->refused) {" },
})

add("core/engines/uring.c", "a refusal of the ring in between", {
  { "try_nop", "if (!error)" },
})

add("core/engines/uring.c", "a loop with more operations in flight than the ring has entries", {
  { "set_up", "if (entries > SQ_ENTRIES_MAX)" },
})

add("core/engines/workers.c", "the order in which threads meet", {
  { "answer", "bool first = !workers->answers.first || workers->unannounced;" },
  { "answer", "if (first && !workers->closing)" },
})

add("core/engines/workers.c", "a worker that hangs beyond the deadline of the close", {
  { "halo_workers_close", "if (hung)" },
})

add("core/fast.c",
  "a file system that cannot say whether a read would wait, or a file that changes its length", {
  { "halo_fast_read",
    "if (!file || (file->blind && !alone) || !length || length > HALO_TRY_BYTES_MAX ||" },
})

add("core/fd.h", "an eventfd that cannot be written to a hundred times over", {
  { "halo_event_set", "for (int tries = 0; tries < HALO_EVENT_TRIES; tries++)" },
})

add("core/files.c", "more than 2 GB from one stream, or memory that is out in the middle of it", {
  { "gather_kept", "if (error) {" },
  { "halo_file_extend", "if (!storage)" },
  { "halo_file_extend", "if (length > ALL_BYTES_MAX || op->length >= ALL_BYTES_MAX)", 2 },
  { "halo_file_extend",
    "size_t doubled = op->length < ALL_BYTES_MAX / 2 ? op->length * 2 : ALL_BYTES_MAX;" },
})

add("core/files.c", "a slot lives for 2^44 files, and a loop has 2^20", {
  { "halo_files_reserve", "if ((files->chunk_count + 1) * CHUNK_FILES > HALO_FILES_LIMIT)" },
  { "halo_files_vacate", "if (file->generation < GENERATION_MAX)" },
})

add("core/leftovers.c", "names held at the end of a loop whose operations do not end", {
  { "halo_leftovers_remove", "if (directory && (!busy || directory->local))", 3 },
  { "remove_tree", "if (fd < 0)" },
})

add("core/loop.c", "memory that is out just there: most of it is kept from use to use", {
  { "close_dropped", "if (!op)" },
})

add("core/loop.c", "a child of fork(), and files in flight when the loop's deadline passes", {
  { "close_file",
    "if (file->fd >= 0 && file->in_flight == 0 && !file->borrowed &&"
      .. " file->state == HALO_FILE_OPEN)", 3 },
  { "halo_loop_close", "if (left > 0 || forked)" },
})

add("core/loop.c", "what has ended, a pause and a timer all at once in a turn", {
  { "collect", "if (pause_ns >= 0 && (timeout_ns < 0 || timeout_ns > pause_ns))" },
  { "drain", "if (left == 0 || now_ns >= deadline_ns)" },
  { "halo_loop_timeout_ns",
    "if (loop->completed.first || loop->answered.first || loop->files.dropped ||", 2 },
  { "halo_op_wait", "if (op->state != HALO_OP_DONE)" },
})

add("core/loop.h", "what has ended, a pause and a timer all at once in a turn", {
  { "halo_loop_is_alone", "!loop->completed.first && loop->timers.count == 0;" },
})

add("core/mounts.c", "a descriptor that statx(2) refuses", {
  { "halo_mounts_inspect", "if (result < 0)" },
})

add("core/mounts.c",
  "a machine all of whose mounts are local, or a mount pushed out of those remembered", {
  { "halo_mounts_locate", "if (mounts->all_local)" },
  { "is_local_by_table",
    "if (mounts->all_local) /* below chroot(2) the table lacks what is mounted around it */" },
  { "look_up", "return found && local;" },
})

add("core/op.c",
  "an interrupt, a cancel or a pause at the very moment of an answer, on the loop's own thread", {
  { "ask_again", "bool again = op->slot->stream || op->retries++ < EAGAIN_MAX;" },
  { "ask_again", "if (op->row->lengthy || op->interruptions++ > INTERRUPTIONS_MAX)" },
  { "attempt", "if (step == HALO_STEP_LATER)" },
  { "halo_op_complete", "if (step == HALO_STEP_AGAIN && op->cancelled) {" },
  { "may_try",
    "if (op->row->on_file && ((op->slot->flags & O_DIRECT) || op->length > HALO_TRY_BYTES_MAX))" },
  { "polls_again", "return (op->headed && op->slot->kept) || op->retries++ < EAGAIN_MAX;" },
  { "run_directly",
    "bool stopped = result == -ECANCELED && !op->cancelled && halo_loop_is_interrupted(loop);" },
  { "try_read",
    "halo_policy_took(&loop->policy, kind_of(op), took_ns > copy_ns ? took_ns - copy_ns : 0);" },
})

add("core/op.c", "the kernel's own codes of restarts: it gives one of five away", {
  { "is_interruption", "return result == -EINTR || (result <= -512 && result >= -516);" },
})

add("core/ops/attributes.c",
  "a copy of another's file by somebody without privileges, who owns the copy and not its group", {
  { "keep_once", "if (!error && (flags & HALO_COPY_XATTRS) && ends.from >= 0)" },
  { "keep_owner", "if (known && status.st_uid == wanted->uid && status.st_gid == wanted->gid)" },
  { "keep_owner", "if (known && status.st_uid == wanted->uid)", 2 },
})

add("core/ops/attributes.c", "memory that is out just there: most of it is kept from use to use", {
  { "keep_xattrs", "if (!names)" },
})

add("core/ops/attributes.c", "the kernel's ACLs always have an entry for the group", {
  { "mode_without_acl",
    "for (size_t at = ACL_HEADER_BYTES; at + ACL_ENTRY_BYTES <= size; at += ACL_ENTRY_BYTES)" },
  { "mode_without_acl", "if (acl[at] == ACL_GROUP && acl[at + 1] == 0)" },
})

add("core/ops/beneath.c", "a copy that fails after somebody else has taken its name", {
  { "halo_op_remove_made", "if (dir_fd < 0)" },
  { "remove_in", "made->st_dev == named.st_dev && made->st_ino == named.st_ino)", 2 },
})

add("core/ops/beneath.c", "a lease that another process holds", {
  { "halo_open_at", "if (fd == -EAGAIN && !at_once && !(flags & O_NONBLOCK))" },
})

add("core/ops/copy.c", "a hole beyond the size that the file had", {
  { "copy_data", "if (hole < 0 || hole > size)" },
})

add("core/ops/copy.c", "a name that others give to another kind of file again and again", {
  { "copy_file",
    "while (result == -ESTALE && (op->flags & HALO_COPY_ANY) && ++tries < TRIES_MAX);", 2 },
  { "copy_regular", "if (result < 0 && copy->created && copy->target.st_ino == 0)" },
  { "open_source", "if (error && !S_ISLNK(copy->source.st_mode))" },
})

add("core/ops/copy.c",
  "another file system than ext4 and tmpfs below the copy, or a copy that must not share", {
  { "may_share", "(status.f_type != EXT4_SUPER_MAGIC && status.f_type != TMPFS_MAGIC);", 3 },
  { "may_share", "if (copy->op->flags & HALO_COPY_NO_LINK)" },
})

add("core/ops/data.c",
  "locks of one opening file that change from shared to exclusive and back while they wait", {
  { "lock_finish", "if (result == -EWOULDBLOCK && !op->cancelled && !(op->flags & LOCK_NB))" },
  { "lock_undo", "if (!file->local)" },
})

add("core/ops/data.c",
  "more than 2 GB from one stream, or memory that is out in the middle of it", {
  { "own_stream_data", "else if (op->length > STREAM_BYTES_MAX)" },
  { "read_on", "if (error)" },
})

add("core/ops/data.c", "memory that is out just there: most of it is kept from use to use", {
  { "read_grow", "if (data)" },
})

add("core/ops/data.c", "a sync that is refused as such", {
  { "tells_of_loss", "result != -ESPIPE && result != -EBADF;" },
  { "tells_of_loss",
    "return result < 0 && result != -ECANCELED && result != -EINTR && result != -EINVAL &&", 2 },
})

add("core/ops/dir.c", "more batches than a try reads", {
  { "add_batch", "if (listing->batches_left-- == 0)" },
})

add("core/ops/dir.c", "a file system that does not tell types of entries, or entries that vanish", {
  { "add_entry", "if (listing->looks_left-- == 0)" },
  { "halo_op_entry", "entry->mode = stored->type == DT_UNKNOWN ? 0 : DTTOIF(stored->type);" },
})

add("core/ops/dir.c", "memory that is out just there: most of it is kept from use to use", {
  { "getdents_begin", "if (!storage)" },
})

add("core/ops/dir.c",
  "a path longer than PATH_MAX, without a slash, or on another file system, without openat2", {
  { "is_own",
    "return name[0] == '.' && (name[1] == '\\0' || (name[1] == '.' && name[2] == '\\0'));" },
  { "open_directory", "if (try && (refused || fd == -EXDEV))" },
  { "piece_length", "return slash > 0 ? slash : length;" },
  { "piece_length", "while (slash > 0 && path[slash] != '/')" },
  { "readdir_begin", "op->no_try = looks && !loop->files.mounts.all_local;" },
})

add("core/ops/hash.c",
  "a file system that cannot say whether a read would wait, and interruptions for ever", {
  { "check_file", "if (error)" },
  { "read_piece", "if (got < 0 && at_once && errno == EOPNOTSUPP)", 3 },
  { "read_piece", "} while (got < 0 && errno == EINTR && halo_op_retries(op, &tries));" },
})

add("core/ops/open.c", "a lease that another process holds", {
  { "asks_plain_call", "bool leased = result == -EAGAIN && !(op->flags & O_NONBLOCK);" },
})

add("core/ops/readfile.c", "a file that grows while it is read", {
  { "read_all", "if (op->length && used > op->length)" },
  { "read_all", "if (used == room)" },
})

add("core/ops/shared.h",
  "a call that is interrupted for longer than it is made again, and is cancelled meanwhile", {
  { "halo_op_retries", "if (*tries > HALO_RETRIES_AT_ONCE)" },
  { "halo_op_retries", "if (++*tries > HALO_RETRIES_MAX || halo_op_is_cancelled(op))" },
})

add("core/resolve.c", "links and names that together are longer than PATH_MAX", {
  { "follow", "if (size > sizeof(left))" },
  { "follow", "return length == 0 ? -ENOENT : text[0] == '/' ? -EXDEV : 0;" },
  { "go_down", "if (length + strlen(name) + 2 > sizeof(walk->names))" },
})

add("core/resolve.c",
  "other mounts below a directory that only leaves those out, resolved name by name", {
  { "go_up", "if (above >= 0)" },
  { "go_up", "if (fd < 0)" },
  { "go_up", "return above < 0 ? -errno : 0;" },
  { "is_elsewhere",
    "found->stx_dev_minor != base->stx_dev_minor || found->stx_mnt_id != base->stx_mnt_id;", 2 },
  { "open_by_names", "if (root < 0)" },
})

add("core/resolve.c", "a name that others give to links again and again, or a lease", {
  { "halo_resolve_open", "bool unsaid = fd == -ENOSYS || fd == -EPERM || fd == -EAGAIN;" },
  { "open_at_once", "while (fd < 0 && errno == EAGAIN && ++tries < EAGAIN_MAX);" },
  { "open_last", "return fd == -ELOOP && ++walk->links <= LINKS_MAX ? GO_ON : fd;" },
})

add("core/resolve.c", "a stranger's link in a directory of strangers", {
  { "is_strangers", "link->stx_uid != directory.st_uid);" },
})

return uncovered
