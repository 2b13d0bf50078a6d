using System.Globalization;
using System.IO.Hashing;
using System.Text;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>The names of a queue's keys. All keys of a partition share a hash tag and so a Cluster slot; <c>p</c> stands for it.</summary>
/// <remarks>
/// <code>
/// p:due                     ZSET    thread → time from which any worker may claim it, unix ms   while it waits
/// p:suspects                ZSET    the same, for batches that a process died with              while it waits
/// p:held                    ZSET    thread → when to look again; may not be claimed before      until then
/// p:leases                  ZSET    thread → lease end, unix ms                                 while it runs
/// p:workers                 ZSET    worker → end of its record, unix ms                         until ended
/// p:idle                    ZSET    worker with free slots → since when, unix ms                until full or gone
/// p:messages:‹thread›       LIST    stored messages, oldest first                               while any waits
/// p:thread:‹thread›         HASH    fence, owner, batch, journal, attempts                      while a batch is remembered
/// p:conversation:‹thread›   HASH    what the backend remembers between runs                     ConversationRetention
/// p:replies:‹thread›        LIST    last 20 outcomes                                            ReplyRetention
/// p:events:‹thread›         LIST    last 200 updates without an outcome (retries and the like)  ReplyRetention
/// p:deliveries              ZSET    thread → next try of its oldest delivery, unix ms           while any is open
/// p:delivery:‹thread›       LIST    open deliveries, oldest first                               while any is open
/// p:delivering:‹thread›     HASH    fence, owner, tries                                         while its oldest was tried
/// p:failed, p:failed:‹batch›        ZSET, HASH   dead letters                                   FailedRetention
/// p:completed, p:completed:‹batch›  ZSET, HASH   only without RemoveOnComplete                  CompletedRetention
/// p:counters                HASH    layout, born, fence, sequence, pending, active, …           for ever
/// p:request:‹id›            STRING  outcome of a call, for its repetition                       10 min
/// p:message-id:‹length›:‹thread›:‹id› STRING  sequence and due time of a message; the thread's length in bytes keeps the two apart   DeduplicationWindow
/// p:foreign:‹key›           any     what somebody else wrote over a key of ours, moved aside by a finish or a delivery   until removed by hand
/// p:wake:‹worker›, p:signals:‹worker›, p:updates:‹thread›, p:outcomes:‹thread›   channels
/// p:guard                   –       never exists; declared so that a moving Cluster slot answers before a script begins
/// </code>
/// </remarks>
internal sealed class RedisKeys
{
    private readonly Partition[] _partitions;

    public RedisKeys(string prefix, int partitions) =>
        _partitions = [.. Enumerable.Range(0, partitions).Select(i => new Partition(string.Create(CultureInfo.InvariantCulture, $"{{{prefix}:{i}}}")))];

    public int Count => _partitions.Length;

    public int PartitionOf(string threadId) =>
        _partitions.Length == 1 ? 0 : (int)(XxHash32.HashToUInt32(Encoding.UTF8.GetBytes(threadId)) % (uint)_partitions.Length);

    public Partition this[int partition] => _partitions[partition];

    /// <summary>One partition's names.</summary>
    internal sealed class Partition(string name)
    {
        /// <summary>KEYS of every script.</summary>
        public RedisKey[] Declared { get; } = [name + ":due", name + ":guard"];

        public RedisChannel Wake(string worker) => RedisChannel.Literal(name + ":wake:" + worker);

        public RedisChannel Signals(string worker) => RedisChannel.Literal(name + ":signals:" + worker);

        public RedisChannel Updates(string thread) => RedisChannel.Literal(name + ":updates:" + thread);

        public RedisChannel Outcomes(string thread) => RedisChannel.Literal(name + ":outcomes:" + thread);
    }
}
