using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace AssistantQueue.Emulators;

/// <summary>The faults that wait for their requests; the first that fits strikes. Thread-safe.</summary>
public sealed class OpenAIFaults
{
    private readonly Lock gate = new();
    private readonly List<Armed> armed = [];
    private int lastId;

    /// <summary>Adds a fault behind those that are there.</summary>
    /// <param name="fault">The fault.</param>
    /// <returns>Its id, for <see cref="Remove"/> and <see cref="Struck"/>.</returns>
    public int Add(OpenAIFault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        lock (gate)
        {
            armed.Add(new(++lastId, fault));
            return lastId;
        }
    }

    /// <summary>Takes a fault out.</summary>
    /// <param name="id">What <see cref="Add"/> returned.</param>
    /// <returns>Whether it was there.</returns>
    public bool Remove(int id)
    {
        lock (gate)
        {
            return armed.RemoveAll(a => a.Id == id) > 0;
        }
    }

    /// <summary>Takes all faults out. Runs that never end go on not ending.</summary>
    public void Clear()
    {
        lock (gate)
        {
            armed.Clear();
        }
    }

    /// <summary>How many requests a fault has struck.</summary>
    /// <param name="id">What <see cref="Add"/> returned.</param>
    /// <returns>The number; 0 for a fault that was removed.</returns>
    public int Struck(int id)
    {
        lock (gate)
        {
            return armed.Find(a => a.Id == id)?.Struck ?? 0;
        }
    }

    internal IReadOnlyList<(int Id, OpenAIFault Fault, int Struck)> List()
    {
        lock (gate)
        {
            return [.. armed.Select(a => (a.Id, a.Fault, a.Struck))];
        }
    }

    /// <summary>Takes the fault that strikes a request; null for none. The key is the app's name of its thread, where that is known.</summary>
    internal OpenAIFault? Take(string operation, string path, string body, bool streamed, string? threadKey)
    {
        lock (gate)
        {
            return armed.Find(a => a.Strikes(operation, path, body, streamed, threadKey ?? ""))?.Fault;
        }
    }

    private sealed class Armed(int id, OpenAIFault fault)
    {
        private readonly Dictionary<(string Operation, string Thread), int> drawn = [];
        private int passed;

        public int Id => id;

        public OpenAIFault Fault => fault;

        public int Struck { get; private set; }

        public bool Strikes(string operation, string path, string body, bool streamed, string thread)
        {
            var fits = fault.Operation is "*" || fault.Operation == operation
                || (fault.Operation.EndsWith('*') && operation.StartsWith(fault.Operation[..^1], StringComparison.Ordinal));
            if (!fits
                || (fault.IsOfStream && !streamed)
                || (fault.IsOfRun && operation is not ("create_run" or "create_thread_and_run" or "create_response"))
                || (fault.Contains is { } text && !path.Contains(text, StringComparison.Ordinal) && !body.Contains(text, StringComparison.Ordinal))
                || Struck >= fault.Count)
            {
                return false;
            }

            if (passed < fault.Skip)
            {
                passed++;
                return false;
            }

            if (fault.Probability < 1 && Draw(operation, thread) >= fault.Probability)
            {
                return false;
            }

            Struck++;
            return true;
        }

        // not: the next number of one random sequence
        // but: threads mix differently each time, and each is to meet the same faults again
        private double Draw(string operation, string thread)
        {
            var nth = drawn[(operation, thread)] = drawn.GetValueOrDefault((operation, thread)) + 1;
            var hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{fault.Seed} {operation} {nth} {thread}")));
            // 53 bits are what a double holds.
            return (BinaryPrimitives.ReadUInt64LittleEndian(hash) >> 11) / (double)(1UL << 53);
        }
    }
}
