using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>The life of one run: queued, in progress, waiting for outputs, ended; every change under the state's lock.</summary>
/// <remarks>
/// <code>
/// queued ──▶ in_progress ──▶ completed | incomplete | failed
///   ▲             │
///   └─ requires_action ◀─┘      any of them ──▶ cancelling ──▶ cancelled,  or after ten minutes ──▶ expired
/// </code>
/// </remarks>
internal sealed class RunWork(EmulatorCore core, ThreadEntry thread, RunEntry run, OpenAIFault? fault) : IDisposable
{
    private readonly CancellationTokenSource interrupt = CancellationTokenSource.CreateLinkedTokenSource(core.Stopping);
    private TaskCompletionSource outputs = NewSignal();
    private string? interruptedBy;
    private EventLog? events;
    private JsonObject? message;

    /// <summary>Takes up the runs that an earlier process left under way.</summary>
    public static void GoOn(EmulatorCore core)
    {
        lock (core.State.Gate)
        {
            foreach (var thread in core.State.Threads.Values)
            {
                thread.SeenMessages = thread.Messages.Count;
                if (thread.Active is { } run)
                {
                    run.Work = new RunWork(core, thread, run, null);
                    if (run.Status == "cancelling")
                    {
                        run.Work.Interrupt("cancel");
                    }

                    run.Work.Begin();
                }
            }
        }
    }

    public static bool Expire(EmulatorCore core, string runId)
    {
        lock (core.State.Gate)
        {
            if (core.State.Threads.Values.Select(t => t.Active).FirstOrDefault(r => r?.Id == runId) is not { } run)
            {
                return false;
            }

            run.Work!.Interrupt("expire");
            return true;
        }
    }

    /// <summary>Begins a new stream of this run's events; one stream a request.</summary>
    public EventLog Stream() => events = new EventLog();

    public void Begin() => core.Begin(run.Id, ExecuteAsync);

    public void GoOnWithOutputs() => outputs.SetResult();

    /// <summary>Ends the run as <c>cancelled</c> or <c>expired</c>, soon. Needs the state's lock.</summary>
    public void Interrupt(string reason)
    {
        interruptedBy ??= reason;
        _ = interrupt.CancelAsync();
    }

    public void Dispose() => interrupt.Dispose();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task ExecuteAsync()
    {
        try
        {
            if (run.Status == "requires_action")
            {
                await OutputsAsync().ConfigureAwait(false);
            }

            while (!await RoundAsync().ConfigureAwait(false))
            {
                await OutputsAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!core.Stopping.IsCancellationRequested)
        {
            await EndInterruptedAsync().ConfigureAwait(false);
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
            Dispose();
        }
    }

    /// <summary>One round of the model; false when the run now waits for tool outputs.</summary>
    private async Task<bool> RoundAsync()
    {
        await PauseAsync(fault?.Kind == OpenAIFaultKind.RunStaysQueued ? TimeSpan.MaxValue : core.Options.QueueTime).ConfigureAwait(false);
        Prompt prompt = null!;
        Change(() =>
        {
            run.Body["status"] = "in_progress";
            run.Body["started_at"] ??= core.Seconds;
            prompt = Prompt();
            core.State.Save(("run", run.Body));
            core.Ledger.RunStarted(run.Id, core.Now);
            events?.Add("thread.run.in_progress", run.Body);
        });

        var answer = Bent(EchoModel.Answer(prompt));
        await PauseAsync(answer.Latency ?? core.NextLatency()).ConfigureAwait(false);
        if (answer.Refused || answer.FailCode is not null)
        {
            Change(() => EndUnderLock("failed", answer.FailCode ?? "invalid_prompt"));
            return true;
        }

        if (answer is { Text: "", Calls.Count: > 0 })
        {
            Change(() => CallUnderLock(answer.Calls));
            return false;
        }

        return await SayAsync(answer, prompt).ConfigureAwait(false);
    }

    private ModelAnswer Bent(ModelAnswer answer) => fault?.Kind switch
    {
        OpenAIFaultKind.RunFails => answer with { FailCode = fault.Code ?? "server_error" },
        OpenAIFaultKind.RunNeverEnds => answer with { Latency = TimeSpan.MaxValue },
        OpenAIFaultKind.RunTakesLong => answer with { Latency = fault.Delay },
        OpenAIFaultKind.RunIsIncomplete => answer with { Incomplete = true },
        OpenAIFaultKind.RunExpires => ExpireNow(),
        OpenAIFaultKind.RunCallsFunction when run.Steps.Count == 0 => answer with { Text = "", Calls = [new(fault.Function, "{}")] },
        _ => answer,
    };

    private ModelAnswer ExpireNow()
    {
        interruptedBy ??= "expire";
        throw new OperationCanceledException();
    }

    /// <summary>Writes a message; false when the run now waits for tool outputs.</summary>
    private async Task<bool> SayAsync(ModelAnswer answer, Prompt prompt)
    {
        var most = run.Body.Number("max_completion_tokens") ?? long.MaxValue;
        var cut = answer.Incomplete || EchoModel.Tokens(answer.Text) > most;
        var text = cut ? EchoModel.Cut(answer.Text, most) : answer.Text;
        var isOver = cut || answer.Calls.Count == 0;
        JsonObject step = null!;
        Change(() =>
        {
            message = MessageObjects.FromModel(core, run);
            thread.Messages.Add(message);
            step = RunObjects.Step(core, run, "message_creation", new JsonObject { ["message_id"] = message.Text("id") });
            run.Steps.Add(step);
            events?.Add("thread.run.step.created", step);
            events?.Add("thread.run.step.in_progress", step);
            events?.Add("thread.message.created", message);
            events?.Add("thread.message.in_progress", message);
        });

        if (events is not null || core.Options.DeltaPause > TimeSpan.Zero)
        {
            foreach (var piece in EchoModel.Pieces(text))
            {
                await PauseAsync(core.Options.DeltaPause).ConfigureAwait(false);
                events?.Add("thread.message.delta", RunObjects.MessageDelta(message!, piece));
            }
        }

        Change(() =>
        {
            message!["content"] = new JsonArray(answer.Cited is { } file && !cut ? MessageObjects.CitingPart(text, file) : MessageObjects.TextPart(text));
            message["status"] = cut ? "incomplete" : "completed";
            message[cut ? "incomplete_at" : "completed_at"] = core.Seconds;
            message["incomplete_details"] = cut ? new JsonObject { ["reason"] = "max_tokens" } : null;
            step["status"] = "completed";
            step["completed_at"] = core.Seconds;
            step["usage"] = RunObjects.Usage(prompt, text);
            thread.SeenMessages = thread.Messages.Count;
            core.State.Save(("message", message), ("step", step));
            events?.Add(cut ? "thread.message.incomplete" : "thread.message.completed", message);
            events?.Add("thread.run.step.completed", step);
            if (isOver)
            {
                run.Body["usage"] = RunObjects.Usage(prompt, text);
                run.Body["incomplete_details"] = cut ? new JsonObject { ["reason"] = "max_completion_tokens" } : null;
                EndUnderLock(cut ? "incomplete" : "completed", null);
            }
            else
            {
                message = null;
                CallUnderLock(answer.Calls);
            }
        });
        return isOver;
    }

    private void CallUnderLock(IReadOnlyList<WantedCall> calls)
    {
        var made = calls.Select(c => new JsonObject
        {
            ["id"] = Wire.NewId("call_"),
            ["type"] = "function",
            ["function"] = new JsonObject { ["name"] = c.Name, ["arguments"] = c.Arguments },
        }).ToArray();
        var list = Wire.Copies(made);
        foreach (var call in list)
        {
            call.Child("function")!["output"] = null;
        }

        var step = RunObjects.Step(core, run, "tool_calls", []);
        events?.Add("thread.run.step.created", step);
        events?.Add("thread.run.step.in_progress", step);
        for (var i = 0; i < list.Count; i++)
        {
            events?.Add("thread.run.step.delta", RunObjects.CallDelta(step, list[i]!, i));
        }

        step["step_details"]!["tool_calls"] = list;
        run.Steps.Add(step);
        run.Body["status"] = "requires_action";
        run.Body["required_action"] = new JsonObject
        {
            ["type"] = "submit_tool_outputs",
            ["submit_tool_outputs"] = new JsonObject { ["tool_calls"] = Wire.ArrayOf(made) },
        };
        outputs = NewSignal();
        core.State.Save(("step", step), ("run", run.Body));
        core.Ledger.RunIs(run.Id, "requires_action");
        events?.Add("thread.run.requires_action", run.Body);
        events?.Complete();
        events = null;
    }

    private async Task OutputsAsync()
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(interrupt.Token);
        var expiry = PauseAsync(TimeSpan.MaxValue, done.Token);
        var first = await Task.WhenAny(outputs.Task, expiry).ConfigureAwait(false);
        await done.CancelAsync().ConfigureAwait(false);
        await first.ConfigureAwait(false);
    }

    private async Task EndInterruptedAsync()
    {
        if (interruptedBy == "cancel")
        {
            events?.Add("thread.run.cancelling", run.Body);
            await Task.Delay(core.Options.CancelTime, core.Time, core.Stopping).ConfigureAwait(false);
        }

        lock (core.State.Gate)
        {
            EndUnderLock(interruptedBy == "cancel" ? "cancelled" : "expired", null);
        }
    }

    private void EndUnderLock(string status, string? error)
    {
        run.Body["status"] = status;
        run.Body["required_action"] = null;
        if (status is "completed" or "cancelled" or "failed")
        {
            run.Body[status + "_at"] = core.Seconds;
        }

        if (status is not ("completed" or "incomplete"))
        {
            EndPartsUnderLock(status);
            run.Body["usage"] = new JsonObject { ["prompt_tokens"] = 0, ["completion_tokens"] = 0, ["total_tokens"] = 0 };
        }

        if (error is not null)
        {
            run.Body["last_error"] = new JsonObject { ["code"] = error, ["message"] = RunObjects.ErrorText(error) };
        }

        run.Body["expires_at"] = null;
        SaveUnderLock(("run", run.Body));
        core.Ledger.RunEnded(run.Id, core.Now, status, kept: true);
        events?.Add("thread.run." + (status == "incomplete" && core.Options.IncompleteRunSaysCompleted ? "completed" : status), run.Body);
        events?.Complete();
        run.Work = null;
    }

    /// <summary>Closes the step and the message that were under way when the run ended some other way.</summary>
    private void EndPartsUnderLock(string status)
    {
        if (run.Steps is [.., { } step] && step.Text("status") == "in_progress")
        {
            step["status"] = status;
            step[status + "_at"] = core.Seconds;
            SaveUnderLock(("step", step));
            events?.Add("thread.run.step." + status, step);
        }

        if (message is not null)
        {
            message["status"] = "incomplete";
            message["incomplete_at"] = core.Seconds;
            message["incomplete_details"] = new JsonObject { ["reason"] = "run_" + status };
            SaveUnderLock(("message", message));
            events?.Add("thread.message.incomplete", message);
        }
    }

    private void SaveUnderLock((string, JsonNode) change)
    {
        if (core.State.Threads.ContainsKey(thread.Id))
        {
            core.State.Save(change);
        }
    }

    private Prompt Prompt()
    {
        var beside = thread.Runs.SelectMany(r => r.Steps.Zip(r.Steps.Skip(1)))
            .Where(s => s.Second.Text("type") == "tool_calls")
            .Select(s => s.First.Child("step_details").Child("message_creation")?.Text("message_id"))
            .ToHashSet();
        var turns = thread.Messages
            .Select((m, i) => new Turn(m.Text("role") == "user" ? TurnKind.User : beside.Contains(m.Text("id")) ? TurnKind.Beside : TurnKind.Assistant, LedgerLines.TextOf(m), i >= run.FreshFrom))
            .ToList();
        foreach (var call in run.Steps.SelectMany(s => s.Child("step_details").List("tool_calls") ?? []))
        {
            var function = call.Child("function");
            turns.Add(new(TurnKind.Call, function.Text("arguments")!, CallId: call.Text("id"), Name: function.Text("name")));
            turns.Add(new(TurnKind.Output, function.Text("output") ?? "", CallId: call.Text("id")));
        }

        var tools = run.Body.List("tools")!.Select(t => t.Child("function").Text("name")).OfType<string>().ToHashSet();
        return new(turns, run.Body.Text("instructions"), tools, run.Body.Flag("parallel_tool_calls"), core.Options.Commands);
    }

    /// <summary>Changes the run, unless it has been interrupted meanwhile.</summary>
    private void Change(Action change)
    {
        lock (core.State.Gate)
        {
            if (interruptedBy is not null)
            {
                throw new OperationCanceledException();
            }

            interrupt.Token.ThrowIfCancellationRequested();
            change();
        }
    }

    private Task PauseAsync(TimeSpan time) => PauseAsync(time, interrupt.Token);

    /// <summary>Waits, but not beyond the run's ten minutes.</summary>
    private async Task PauseAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        if (time <= TimeSpan.Zero)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return;
        }

        var rest = DateTimeOffset.FromUnixTimeSeconds(run.Body.Number("expires_at") ?? 0) - core.Now;
        await Task.Delay(time < rest ? time : rest > TimeSpan.Zero ? rest : TimeSpan.Zero, core.Time, cancellationToken).ConfigureAwait(false);
        if (time >= rest)
        {
            interruptedBy ??= "expire";
            throw new OperationCanceledException();
        }
    }
}
