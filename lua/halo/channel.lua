-- Channels: values from task to task, in order.
--
-- A task that cannot go on leaves a waiter in the channel: who it is and, for a sender, what it
-- brings. A select leaves the same waiter in several channels; the first that serves it marks it
-- served, and it is taken out of the others when its task goes on.

local core = require "halo.core"
local Queue = require "halo.queue"

local channel = {}

---@class halo.Channel
---@field private capacity integer
---@field private buffer halo.Queue
---@field private senders halo.Queue
---@field private receivers halo.Queue
---@field private closed boolean
local Channel = {}
Channel.__index = Channel

local CLOSED = "send on a channel that is closed"

---Lets the first waiter go on that can: one that another channel has served, or that has been
---cancelled and does not know it yet, is passed over.
---@return table? entry
local function serve(queue, value, closed)
  local entry = queue:pop()
  while entry do
    local waiter = entry.waiter
    if not waiter.served and core.wake(waiter.task, entry.index, value, closed) then
      waiter.served = true
      return entry
    end
    entry = queue:pop()
  end
end

---@return boolean sent
local function try_send(self, value)
  if self.closed then
    core.raise(CLOSED)
  end
  if serve(self.receivers, value) then
    return true
  end
  if self.buffer:size() < self.capacity then
    self.buffer:push(value)
    return true
  end
  return false
end

---@return boolean received, any value nil once the channel is closed and empty
local function try_recv(self)
  if self.buffer:size() > 0 then
    local value = self.buffer:pop()
    local sender = serve(self.senders)
    if sender then
      self.buffer:push(sender.value)
    end
    return true, value
  end
  local sender = serve(self.senders)
  if sender then
    return true, sender.value
  end
  return self.closed, nil
end

---Waits until one of the entries is served: each is { channel, queue, value }.
---@async
local function wait(what, entries)
  local waiter = { task = core.current(), served = false }
  for i, entry in ipairs(entries) do
    entry.waiter, entry.index = waiter, i
    entry.queue:push(entry)
  end
  local ok, index, value, closed = core.park(what)
  waiter.served = true
  for i, entry in ipairs(entries) do
    if i ~= index then
      entry.queue:remove(entry)
    end
  end
  if not ok then
    error(index, 0)
  end
  return index, value, closed
end

---Sends a value, waiting until it is received or the buffer has room for it.
---@async
---@param value any not nil, which is how a receiver learns that the channel is closed
---@return true
function Channel:send(value)
  if value == nil then
    core.raise("bad argument #1 to 'send' "
      .. "(nil cannot be sent: it means that the channel is closed)")
  elseif not try_send(self, value) then
    local _, _, closed = wait("channel", { { queue = self.senders, value = value } })
    if closed then
      core.raise(CLOSED)
    end
  end
  return true
end

---Receives a value, waiting for one.
---@async
---@return any # nil when the channel is closed and empty
function Channel:recv()
  local received, value = try_recv(self)
  if received then
    return value
  end
  local _, sent = wait("channel", { { queue = self.receivers } })
  return sent
end

Channel.__call = Channel.recv

---Says that nothing will be sent any more. Receivers get what is in the buffer, then nil.
---@return true
function Channel:close()
  if self.closed then
    core.raise("this channel is closed already")
  end
  self.closed = true
  for _, queue in ipairs { self.receivers, self.senders } do
    while serve(queue, nil, true) do
    end
  end
  return true
end

---@return boolean
function Channel:is_closed()
  return self.closed
end

---Makes a channel.
---@param capacity integer? values that may wait in it; 0 by default: a send waits for its recv
---@return halo.Channel
function channel.channel(capacity)
  capacity = capacity or 0
  if type(capacity) ~= "number" or capacity < 0 or capacity % 1 ~= 0 then
    core.raise("bad argument #1 to 'channel' (a whole number of at least 0 expected)")
  end
  return setmetatable({
    capacity = capacity,
    buffer = Queue.new(),
    senders = Queue.new(),
    receivers = Queue.new(),
    closed = false,
  }, Channel)
end

-- The type comes first: LuaJIT compiles getmetatable() wrongly for the files of io.
local function is_channel(value)
  return type(value) == "table" and getmetatable(value) == Channel
end

---The case as an entry: a channel to receive from, or { channel, value } to send.
local function to_entry(case, i)
  if is_channel(case) then
    return { channel = case, queue = case.receivers }
  elseif type(case) == "table" and is_channel(case[1]) and case[2] ~= nil then
    return { channel = case[1], queue = case[1].senders, value = case[2] }
  end
  local problem = "bad argument #1 to 'select' (case %d is no channel and no {channel, value})"
  core.raise(problem:format(i))
end

---@alias halo.Case halo.Channel|{ [1]: halo.Channel, [2]: any } to receive from, or to send to

---Waits until one of several channels is ready and serves that one alone.
---@async
---@param cases halo.Case[]
---@return integer index of the case
---@return any value what was received; nil from a channel that is closed
function channel.select(cases)
  if type(cases) ~= "table" then
    local problem = "bad argument #1 to 'select' (array of cases expected, got %s)"
    core.raise(problem:format(type(cases)))
  end
  local entries = {}
  for i, case in ipairs(cases) do
    entries[i] = to_entry(case, i)
  end
  if #entries == 0 then
    core.raise("bad argument #1 to 'select' (no channel to wait for)")
  end
  for i, entry in ipairs(entries) do
    if entry.value == nil then
      local received, value = try_recv(entry.channel)
      if received then
        return i, value
      end
    elseif try_send(entry.channel, entry.value) then
      return i
    end
  end
  local index, value, closed = wait("select", entries)
  if closed and entries[index].value ~= nil then
    core.raise(CLOSED)
  end
  return index, value
end

return channel
