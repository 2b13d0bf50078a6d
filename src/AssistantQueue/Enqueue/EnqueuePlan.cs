using System.Text.Json;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Enqueue;

/// <summary>Turns a caller's messages into units, one a thread, and the units' outcomes back into receipts in the caller's order. Pure.</summary>
internal sealed class EnqueuePlan
{
    private readonly Place[] _places;

    private EnqueuePlan(IReadOnlyList<EnqueueUnit> units, Place[] places) => (Units, _places) = (units, places);

    /// <summary>The threads' messages, in the order in which the threads first appear.</summary>
    public IReadOnlyList<EnqueueUnit> Units { get; }

    /// <exception cref="ArgumentException">A message breaks a rule.</exception>
    public static EnqueuePlan Of(IReadOnlyList<AssistantMessage> messages, string parameter, AssistantQueueOptions options, Func<IReadOnlyList<AIContent>, string?>? contentFault = null)
    {
        var units = new List<(string ThreadId, List<NewMessage> Messages)>();
        var unitOf = new Dictionary<string, int>(StringComparer.Ordinal);
        var known = new Dictionary<(int Unit, string MessageId), int>();
        var places = new Place[messages.Count];
        for (var i = 0; i < messages.Count; i++)
        {
            var message = messages[i] ?? throw new ArgumentException($"Message {i} is null. Nothing was stored.", parameter);
            MessageRules.Check(message, parameter);
            MessageRules.CheckForBackend(message, contentFault, parameter);
            if (!unitOf.TryGetValue(message.ThreadId, out var unit))
            {
                unitOf[message.ThreadId] = unit = units.Count;
                units.Add((message.ThreadId, []));
            }

            var inUnit = units[unit].Messages;
            if (message.MessageId is { } id && known.TryGetValue((unit, id), out var first))
            {
                places[i] = new(unit, first, IsRepeated: true);
                continue;
            }

            var converted = Convert(message, parameter, options);
            known[(unit, converted.MessageId)] = inUnit.Count;
            places[i] = new(unit, inUnit.Count, IsRepeated: false);
            inUnit.Add(converted);
        }

        return new([.. units.Select(u => new EnqueueUnit(u.ThreadId, u.Messages))], places);
    }

    /// <summary>The receipts, in the order of the messages. All units must be stored.</summary>
    public MessageReceipt[] Receipts(string queueName, IReadOnlyList<EnqueueOutcome> outcomes) =>
        [.. _places.Select(place =>
        {
            var unit = Units[place.Unit];
            var stored = outcomes[place.Unit].Receipts[place.Index];
            return new MessageReceipt
            {
                QueueName = queueName,
                ThreadId = unit.ThreadId,
                MessageId = unit.Messages[place.Index].MessageId,
                Sequence = stored.Sequence,
                IsDuplicate = stored.IsDuplicate || place.IsRepeated,
                DueAt = stored.DueAt,
            };
        })];

    private static NewMessage Convert(AssistantMessage message, string parameter, AssistantQueueOptions options)
    {
        var whenBusy = message.WhenBusy ?? options.WhenBusy;
        var id = message.MessageId ?? $"msg_{Guid.CreateVersion7():N}";
        var stored = new StoredMessage
        {
            Busy = whenBusy == BusyAction.Steer ? "steer" : null,
            MessageId = id,
            Text = message.Text,
            Contents = message.Contents is { } contents ? [.. contents] : null,
            Instructions = string.IsNullOrWhiteSpace(message.Instructions) ? null : message.Instructions,
            Metadata = message.Metadata is { Count: > 0 } pairs ? new Dictionary<string, string>(pairs, StringComparer.Ordinal) : null,
        };
        return new NewMessage(id, IsDeduplicated: message.MessageId is not null, Serialize(stored, parameter), Characters(message), message.Delay, message.Flush || options.FlushWhen?.Invoke(TextOf(message)) == true, whenBusy);
    }

    private static string Serialize(StoredMessage message, string parameter)
    {
        try
        {
            return JsonSerializer.Serialize(message, StoreJson.Message);
        }
        catch (Exception e) when (e is NotSupportedException or JsonException)
        {
            throw new ArgumentException($"Contents must have parts that can be stored as JSON (text, URL, data, file id): {e.Message} Nothing was stored.", parameter, e);
        }
    }

    // Texts only: the limit is there for the model's input, and a picture must not part a caption from its question.
    private static int Characters(AssistantMessage message) =>
        message.Text?.Length ?? message.Contents!.OfType<TextContent>().Sum(part => part.Text?.Length ?? 0);

    private static string TextOf(AssistantMessage message) =>
        message.Text ?? string.Join("\n\n", message.Contents!.OfType<TextContent>().Select(part => part.Text));

    private readonly record struct Place(int Unit, int Index, bool IsRepeated);
}
