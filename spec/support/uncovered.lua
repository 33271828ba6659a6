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

add("core/ops/dir.c", "a file system that does not tell types of entries", {
  { "halo_op_entry", "entry->mode = stored->type == DT_UNKNOWN ? 0 : DTTOIF(stored->type);" },
})

add("core/engines/ring.c",
  "a full queue of the kernel's at the very moment, or one that answers what it never answers", {
  { "arm", "if (!sqe)" },
  { "cancel_in_ring", "if (!sqe) {" },
  { "cancel_owed", "for (size_t i = 0; i <= slab->mask && !ring->cancels_owed; i++) {", 4 },
  { "cancel_owed",
    "if (op && op->cancelled && op->state == HALO_OP_RUNNING && !op->in_pool &&"
      .. " !op->in_poller)", 10 },
  { "check_submitted", "if (ring->held == held)" },
  { "collect_workers", "if (op->refused && op->result >= 0)" },
  { "complete", "if (!op) {" },
  { "complete", "if (polls && result == -EINVAL && !op->cancelled) {" },
  { "complete", "if (polls && result == -EINVAL)" },
  { "emit",
    "if (tries > 1 && (tries == SUBMIT_TRIES || halo_loop_is_interrupted(ring->loop)))", 3 },
  { "ring_wait", "if (ring->cancels_owed)" },
  { "take_sqe", "return room ? io_uring_get_sqe(&ring->uring) : NULL;" },
  { "to_poller", "if (error)" },
})

add("core/slab.h",
  "a full queue of the kernel's at the very moment, or one that answers what it never answers", {
  { "halo_slab_find", "return op && op->seq == seq ? op : NULL;", 2 },
})

add("core/ops/beneath.c", "a lease that another process holds", {
  { "halo_open_at", "if (fd == -EAGAIN && !at_once && !(flags & O_NONBLOCK))" },
})

add("core/ops/open.c", "a lease that another process holds", {
  { "asks_plain_call", "bool leased = result == -EAGAIN && !(op->flags & O_NONBLOCK);" },
})

add("core/files.c", "a slot lives for 2^44 files, and a loop has 2^20", {
  { "halo_files_reserve", "if ((files->chunk_count + 1) * CHUNK_FILES > HALO_FILES_LIMIT)" },
  { "halo_files_vacate", "if (file->generation < GENERATION_MAX)" },
})

add("core/engines/ring.c",
  "answers of older kernels, and of sandboxes that let half of io_uring through", {
  { "emit_op",
    "if (!ring->has_opcode[op->now->code] || ((op->pool_only || op->below) && !polls))" },
  { "has_work", "if (!ring->tells_work)" },
  { "set_up", "for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {" },
  { "set_up", "if ((ring->uring.features & needed) == needed)" },
  { "set_up", "if (error != -EINVAL)" },
  { "try_nop", "for (int tries = 0; tries < SUBMIT_TRIES && submitted == -EINTR; tries++)" },
  { "try_nop", "if (!error)" },
})

add("core/op.c", "answers that only the model of a kernel gives", {
  { "ask_again", "bool again = op->slot->stream || op->retries++ < EAGAIN_MAX;" },
  { "ask_again", "if (op->row->lengthy || op->interruptions++ > INTERRUPTIONS_MAX)" },
  { "halo_op_complete", "if (step == HALO_STEP_AGAIN && op->cancelled) {" },
  { "is_interruption", "return result == -EINTR || (result <= -512 && result >= -516);" },
})

add("core/engines/ring.c", "descriptors that run out at the very moment", {
  { "ring_fd", "if (fd < 0)" },
})

add("core/loop.c", "descriptors that run out at the very moment", {
  { "halo_loop_create", "if (error)" },
  { "halo_loop_create", "if (loop->wake_fd < 0) {" },
})

add("core/ops/copy.c",
  "file systems that cannot share or copy within the kernel, each in a way of its own", {
  { "cannot_share", "error == ENOSYS || error == EPERM || error == ETXTBSY;", 5 },
  { "cannot_share",
    "return error == EXDEV || error == EOPNOTSUPP || error == EINVAL || error == ENOTTY ||", 8 },
  { "may_share", "(status.f_type != EXT4_SUPER_MAGIC && status.f_type != TMPFS_MAGIC);" },
  { "may_share", "if (copy->op->flags & HALO_COPY_NO_LINK)" },
  { "needs_buffer", "error == EBADF || error == EPERM;" },
  { "needs_buffer",
    "return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP ||", 4 },
})

add("core/ops/attributes.c", "file systems without ACLs, or that refuse one attribute alone", {
  { "halo_attributes_keep", "if (!error && (flags & HALO_COPY_MODE))" },
  { "keep_listed",
    "for (const char *at = names; !error && at < names + size; at += strlen(at) + 1)" },
  { "keep_listed", "if (size < 0)" },
  { "keep_times", "return done < 0 ? -errno : 0;" },
  { "keep_xattr", "if (size >= 0 && set(to, name, value, (size_t)size) == 0)" },
  { "keep_xattr", "if (size >= 0 && strcmp(name, ACL_ACCESS) == 0)", 4 },
  { "may_be_left_out",
    "return error == EOPNOTSUPP || error == EPERM || error == EACCES || error == ENODATA;", 4 },
  { "mode_without_acl",
    "for (size_t at = ACL_HEADER_BYTES; at + ACL_ENTRY_BYTES <= size; at += ACL_ENTRY_BYTES)", 2 },
  { "mode_without_acl", "if (acl[at] == ACL_GROUP && acl[at + 1] == 0)", 4 },
})

add("core/files.c", "memory that is out", {
  { "halo_file_extend", "if (!storage)" },
})

add("core/loop.c", "memory that is out", {
  { "close_dropped", "if (!op)" },
  { "mark_process", "if (page == MAP_FAILED)" },
})

add("core/ops/attributes.c", "memory that is out", {
  { "keep_xattrs", "if (!names)" },
})

add("core/ops/copy.c", "memory that is out", {
  { "copy_through_buffer", "if (!buffer)" },
})

add("core/ops/dir.c", "memory that is out", {
  { "getdents_begin", "if (!storage)" },
})

add("core/slab.c", "memory that is out", {
  { "grow_table", "if (!table)" },
  { "halo_slab_release", "if (op->path || op->base || op->base2)" },
})

add("core/files.c", "more than 2 GB from one stream", {
  { "gather_kept", "if (error) {" },
  { "halo_file_extend", "if (length > ALL_BYTES_MAX || op->length >= ALL_BYTES_MAX)", 2 },
  { "halo_file_extend",
    "size_t doubled = op->length < ALL_BYTES_MAX / 2 ? op->length * 2 : ALL_BYTES_MAX;" },
  { "halo_file_put_back", "if (op->headed && op->done > 0) {", 3 },
})

add("core/ops/data.c", "more than 2 GB from one stream", {
  { "own_stream_data", "else if (op->length > STREAM_BYTES_MAX)" },
  { "read_on", "if (error)" },
})

add("core/ops/beneath.c", "somebody else changes the file between two calls", {
  { "halo_op_remove_made", "if (dir_fd < 0)" },
  { "remove_in", "made->st_dev == named.st_dev && made->st_ino == named.st_ino)" },
})

add("core/ops/copy.c", "somebody else changes the file between two calls", {
  { "copy_data", "if (hole < 0 || hole > size)" },
  { "copy_extent", "if (copied == 0)" },
  { "copy_file",
    "while (result == -ESTALE && (op->flags & HALO_COPY_ANY) && ++tries < TRIES_MAX);", 5 },
  { "copy_special", "if (!result)" },
  { "copy_special", "if (copy->from >= 0)" },
  { "copy_special", "if (result < 0 && copy->created)" },
  { "copy_special", "result = result == -ESTALE ? -EEXIST : result; /* not to be tried again */" },
  { "give_up_special", "copy->created = found == 0 && is_special_made(copy);", 2 },
  { "is_special_made",
    "return !((copy->target.st_mode ^ copy->source.st_mode) & S_IFMT) &&"
      .. " copy->target.st_nlink == 1;", 2 },
  { "keep_special", "if (copy->to < 0)" },
  { "keep_special", "if (error)" },
  { "make_in", "if (length < 0)" },
  { "open_place", "if (copy->from < 0)" },
  { "open_place", "if (error)" },
  { "open_place",
    "return S_ISREG(copy->source.st_mode) || S_ISDIR(copy->source.st_mode) ? -ESTALE : 0;", 2 },
  { "open_source", "bool changed = error == -ELOOP || error == -ENXIO || error == -EINVAL;", 3 },
  { "open_source", "if (error && !S_ISLNK(copy->source.st_mode))" },
  { "open_source", "return changed && (op->flags & HALO_COPY_ANY) ? -ESTALE : error;", 3 },
})

add("core/ops/dir.c", "somebody else changes the file between two calls", {
  { "add_batch", "if (error)" },
  { "add_batch", "if (listing->batches_left-- == 0)" },
  { "add_entry", "if (listing->looks_left-- == 0)" },
  { "add_entry", "} else if (kept && errno == ENOENT) {" },
})

add("core/ops/hash.c", "somebody else changes the file between two calls", {
  { "check_file", "if (error)" },
})

add("core/ops/readfile.c", "somebody else changes the file between two calls", {
  { "read_all", "if (op->length && used > op->length)" },
  { "read_all", "if (used == room)" },
})

add("core/resolve.c", "somebody else changes the file between two calls", {
  { "follow", "if (error)" },
  { "follow", "int error = length < 0 ? errno : 0;" },
  { "open_by_names", "if (result < 0)" },
  { "open_here", "if (!error && S_ISLNK(found.stx_mode) && !(flags & O_NOFOLLOW))" },
  { "open_here", "if (!error && is_elsewhere(walk, &found))" },
  { "open_name", "if (error)" },
})

add("core/mounts.c", "tables of mounts as other machines have them, and kernels before 6.8", {
  { "halo_mounts_inspect", "else if (statx_now->stx_mask & STATX_MNT_ID)", 2 },
  { "halo_mounts_inspect", "if (statx_now->stx_mask & MNT_ID_UNIQUE)" },
  { "halo_mounts_locate", "if (mounts->all_local)" },
  { "is_local_by_table",
    "if (mounts->all_local) /* below chroot(2) the table lacks what is mounted around it */" },
  { "look_up", "return found && local;" },
  { "parse_line", "*local = harmless || type_is_local(type);" },
  { "parse_line",
    'bool harmless = strcmp(type, "autofs") == 0 && strncmp(point, "/proc/", 6) == 0;', 3 },
  { "parse_line",
    'if (!separator || sscanf(line, "%llu %*s %*s %*s " POINT_FORMAT, &id, point) != 2 ||', 2 },
  { "parse_line", 'sscanf(separator, " - %63s", type) != 1)' },
})

add("core/engines/workers.c", "the order in which threads meet", {
  { "answer", "bool first = !workers->answers.first || workers->unannounced;" },
  { "answer", "if (first && !workers->closing)" },
})

add("core/fd.h", "the order in which threads meet", {
  { "halo_event_set", "for (int tries = 0; tries < HALO_EVENT_TRIES; tries++)" },
})

return uncovered
