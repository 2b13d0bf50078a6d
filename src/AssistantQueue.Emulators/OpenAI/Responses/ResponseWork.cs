using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>The life of one response: (queued,) in progress, ended; every change under the state's lock.</summary>
internal sealed class ResponseWork : IDisposable
{
    private readonly EmulatorCore core;
    private readonly ResponseEntry response;
    private readonly ConversationEntry? conversation;
    private readonly Prompt prompt;
    private readonly OpenAIFault? fault;
    private readonly CancellationTokenSource interrupt;
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<JsonObject> output = [];
    private bool over;

    public ResponseWork(EmulatorCore core, ResponseEntry response, ConversationEntry? conversation, Prompt prompt, OpenAIFault? fault)
    {
        this.core = core;
        this.response = response;
        this.conversation = conversation;
        this.prompt = prompt;
        this.fault = fault;
        interrupt = CancellationTokenSource.CreateLinkedTokenSource(core.Stopping);
        Events = response.Streamed ? new EventLog() : null;
    }

    /// <summary>Gets the events; null for a response that isn't streamed.</summary>
    public EventLog? Events { get; }

    /// <summary>Gets what ends with the response, or is cancelled when the emulator stops before.</summary>
    public Task Ended => ended.Task;

    /// <summary>Takes up the background responses that an earlier process left under way.</summary>
    public static void GoOn(EmulatorCore core)
    {
        lock (core.State.Gate)
        {
            foreach (var response in core.State.Responses.Values.Where(r => !r.IsTerminal))
            {
                var conversation = response.ConversationId is { } id ? core.State.Conversations.GetValueOrDefault(id) : null;
                if (conversation is not null && core.Options.BackgroundLocksConversation)
                {
                    conversation.Active = response;
                }

                var history = History.Of(core.State, conversation, response.PreviousId);
                history.RemoveAll(h => response.Input.Any(i => i.Text("id") == h.Text("id")));
                response.Body["status"] = "queued";
                response.Work = new ResponseWork(core, response, conversation, PromptOf(core, response, history), null);
                response.Work.BeginUnderLock();
            }
        }
    }

    public static Prompt PromptOf(EmulatorCore core, ResponseEntry response, IReadOnlyList<JsonObject> history)
    {
        Turn[] turns =
        [
            .. history.Select(i => ItemObjects.TurnOf(i, fresh: false)).OfType<Turn>(),
            .. response.Input.Select(i => ItemObjects.TurnOf(i, fresh: true)).OfType<Turn>(),
        ];
        for (var i = 1; i < turns.Length; i++)
        {
            if (turns[i].Kind == TurnKind.Call && turns[i - 1].Kind == TurnKind.Assistant)
            {
                turns[i - 1] = turns[i - 1] with { Kind = TurnKind.Beside };
            }
        }

        var tools = response.Body.Text("tool_choice") == "none" ? [] : response.Body.List("tools")!.Select(t => t.Text("name")).OfType<string>().ToHashSet();
        return new(turns, response.Body.Text("instructions"), tools, response.Body.Flag("parallel_tool_calls"), core.Options.Commands);
    }

    public void BeginUnderLock()
    {
        if (Events is not null)
        {
            ResponseEvents.Whole(Events, "response.created", response.Body);
            if (response.Background)
            {
                ResponseEvents.Whole(Events, "response.queued", response.Body);
            }
        }

        core.Begin(response.Id, ExecuteAsync);
    }

    /// <summary>Ends the response as <c>cancelled</c>. Needs the state's lock.</summary>
    public void CancelUnderLock()
    {
        EndUnderLock("cancelled");
        _ = interrupt.CancelAsync();
    }

    /// <summary>The client of a foreground response has gone.</summary>
    public void Lose(LostClient what)
    {
        lock (core.State.Gate)
        {
            if (over || what == LostClient.Completes)
            {
                return;
            }

            if (what == LostClient.Incomplete)
            {
                EndUnderLock("incomplete");
            }
            else
            {
                over = true;
                core.State.Responses.Remove(response.Id);
                UnlockUnderLock();
                core.Ledger.RunEnded(response.Id, core.Now, "lost", kept: conversation is not null && core.Options.ItemsVisible == ItemsVisible.AtOnce);
                Events?.Complete();
                ended.TrySetResult();
            }

            _ = interrupt.CancelAsync();
        }
    }

    public void Dispose() => interrupt.Dispose();

    private async Task ExecuteAsync()
    {
        try
        {
            await PauseAsync(fault?.Kind == OpenAIFaultKind.RunStaysQueued ? Timeout.InfiniteTimeSpan : response.Background ? core.Options.QueueTime : TimeSpan.Zero).ConfigureAwait(false);
            Change(() =>
            {
                response.Body["status"] = "in_progress";
                if (response.Background)
                {
                    core.State.Save(("response", response.Document));
                }

                core.Ledger.RunStarted(response.Id, core.Now);
                if (Events is not null)
                {
                    ResponseEvents.Whole(Events, "response.in_progress", response.Body);
                }
            });

            var answer = Bent(EchoModel.Answer(prompt));
            await PauseAsync(answer.Latency ?? core.NextLatency()).ConfigureAwait(false);
            if (answer.FailCode is { } code)
            {
                Change(() => EndUnderLock("failed", code));
            }
            else if (answer is { Text: "", Calls.Count: > 0 })
            {
                Change(() => CallUnderLock(answer.Calls));
            }
            else
            {
                await SayAsync(answer).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!core.Stopping.IsCancellationRequested)
        {
            // ended by who interrupted it: a cancel, a delete or a client that went away
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            lock (core.State.Gate)
            {
                EndUnderLock("failed", "server_error");
            }

            throw;
        }
        finally
        {
            ended.TrySetCanceled();
            Dispose();
        }
    }

    private ModelAnswer Bent(ModelAnswer answer) => fault?.Kind switch
    {
        OpenAIFaultKind.RunFails => answer with { FailCode = fault.Code ?? "server_error" },
        OpenAIFaultKind.RunExpires => answer with { FailCode = "server_error" },
        OpenAIFaultKind.RunNeverEnds => answer with { Latency = Timeout.InfiniteTimeSpan },
        OpenAIFaultKind.RunTakesLong => answer with { Latency = fault.Delay },
        OpenAIFaultKind.RunIsIncomplete => answer with { Incomplete = true },
        OpenAIFaultKind.RunCallsFunction => answer with { Text = "", Calls = [new(fault.Function, "{}")] },
        _ => answer,
    };

    private void CallUnderLock(IReadOnlyList<WantedCall> calls)
    {
        foreach (var call in calls)
        {
            var item = ItemObjects.ModelCall(call);
            if (Events is not null)
            {
                ResponseEvents.Call(Events, item, output.Count);
            }

            output.Add(item);
        }

        EndUnderLock("completed");
    }

    private async Task SayAsync(ModelAnswer answer)
    {
        var most = response.Body.Number("max_output_tokens") ?? long.MaxValue;
        var cut = answer.Incomplete || EchoModel.Tokens(answer.Text) > most;
        var text = cut ? EchoModel.Cut(answer.Text, most) : answer.Text;
        var item = ItemObjects.ModelMessage("", "in_progress");
        if (Events is not null)
        {
            Change(() => ResponseEvents.MessageBegins(Events, item, 0));
        }

        if (Events is not null || core.Options.DeltaPause > TimeSpan.Zero)
        {
            var said = "";
            foreach (var piece in EchoModel.Pieces(text))
            {
                await PauseAsync(core.Options.DeltaPause).ConfigureAwait(false);
                Change(() =>
                {
                    said += piece;
                    output.Clear();
                    output.Add(Said(item, said, "incomplete"));
                    if (Events is not null)
                    {
                        ResponseEvents.Delta(Events, item, 0, piece);
                    }
                });
            }
        }

        Change(() =>
        {
            output.Clear();
            output.Add(Said(item, text, cut ? "incomplete" : "completed", cut ? null : answer.Cited));
            if (Events is not null)
            {
                ResponseEvents.MessageEnds(Events, output[0], 0);
            }

            if (cut || answer.Calls.Count == 0)
            {
                EndUnderLock(cut ? "incomplete" : "completed");
            }
            else
            {
                CallUnderLock(answer.Calls);
            }
        });
    }

    private static JsonObject Said(JsonObject item, string text, string status, string? cited = null)
    {
        var said = ItemObjects.ModelMessage(text, status, cited);
        said["id"] = item.Text("id");
        return said;
    }

    private void EndUnderLock(string status, string? error = null)
    {
        over = true;
        var body = response.Body;
        body["status"] = status;
        body["output"] = Wire.ArrayOf(status is "completed" or "incomplete" ? output : []);
        body["completed_at"] = status == "completed" ? core.Seconds : null;
        body["incomplete_details"] = status == "incomplete" ? new JsonObject { ["reason"] = "max_output_tokens" } : null;
        body["error"] = error is null ? null : new JsonObject { ["code"] = error, ["message"] = RunObjects.ErrorText(error) };
        if (status is "completed" or "incomplete")
        {
            body["usage"] = Usage();
        }

        var kept = response.IsHistory;
        if (conversation is not null)
        {
            var atOnce = core.Options.ItemsVisible == ItemsVisible.AtOnce;
            kept |= atOnce || core.Options.FailedKeepsInput;
            var items = (atOnce || !kept ? [] : response.Input).Concat(response.Output).Select(i => i.DeepClone().AsObject()).ToArray();
            if (core.State.Conversations.ContainsKey(conversation.Id))
            {
                ConversationItemEndpoints.SaveUnderLock(core, conversation, items);
            }
        }

        UnlockUnderLock();
        if (response.Stored)
        {
            core.State.Save(("response", response.Document));
        }
        else
        {
            core.State.Responses.Remove(response.Id);
        }

        core.Ledger.RunEnded(response.Id, core.Now, status, kept);
        if (Events is not null)
        {
            ResponseEvents.End(Events, body);
        }

        ended.TrySetResult();
    }

    private void UnlockUnderLock()
    {
        if (conversation?.Active == response)
        {
            conversation.Active = null;
        }
    }

    private JsonObject Usage()
    {
        var input = prompt.Tokens;
        var said = output.Sum(i => EchoModel.Tokens(i.Text("arguments") ?? LedgerLines.TextOf(i)));
        return new()
        {
            ["input_tokens"] = input,
            ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = 0, ["cache_write_tokens"] = 0 },
            ["output_tokens"] = said,
            ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
            ["total_tokens"] = input + said,
        };
    }

    /// <summary>Changes the response, unless it has ended meanwhile.</summary>
    private void Change(Action change)
    {
        lock (core.State.Gate)
        {
            core.Stopping.ThrowIfCancellationRequested();
            if (over)
            {
                throw new OperationCanceledException();
            }

            change();
        }
    }

    private async Task PauseAsync(TimeSpan time)
    {
        if (time != TimeSpan.Zero)
        {
            await Task.Delay(time, core.Time, interrupt.Token).ConfigureAwait(false);
        }
    }
}
