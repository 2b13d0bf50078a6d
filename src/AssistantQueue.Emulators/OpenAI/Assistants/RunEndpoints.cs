using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Runs of a thread: create (also together with the thread), list, get, modify, cancel, submit tool outputs.</summary>
internal sealed class RunEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes)
    {
        routes.Add("POST", "threads/runs", "create_thread_and_run", CreateBoth, AssistantsRules.CreateThreadAndRun);
        routes.Add("POST", "threads/{thread_id}/runs", "create_run", Create, AssistantsRules.CreateRun);
        routes.Add("GET", "threads/{thread_id}/runs", "list_runs", List);
        routes.Add("GET", "threads/{thread_id}/runs/{run_id}", "get_run", Get);
        routes.Add("POST", "threads/{thread_id}/runs/{run_id}", "modify_run", Modify, AssistantsRules.Modify);
        routes.Add("POST", "threads/{thread_id}/runs/{run_id}/cancel", "cancel_run", Cancel);
        routes.Add("POST", "threads/{thread_id}/runs/{run_id}/submit_tool_outputs", "submit_tool_outputs", Submit, AssistantsRules.SubmitOutputs);
    }

    /// <summary>Finds the run in the path, or answers 404. Needs the state's lock.</summary>
    public static (ThreadEntry Thread, RunEntry Run) FindUnderLock(EmulatorCore core, Exchange exchange)
    {
        var thread = ThreadEndpoints.FindUnderLock(core, exchange);
        var id = exchange.Argument("run_id");
        return (thread, thread.Runs.Find(r => r.Id == id) ?? throw ApiException.NoRun(id));
    }

    private Answer Create(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var thread = ThreadEndpoints.FindUnderLock(core, exchange);
            CheckNames(exchange.Body);
            if (thread.Active is { } active)
            {
                throw ApiException.RunWhileActive(thread.Id, active.Id);
            }

            var before = thread.Messages.Count;
            var added = (exchange.Body.List("additional_messages") ?? []).Select(m => MessageObjects.FromUser(core, thread.Id, m!.AsObject())).ToArray();
            thread.Messages.AddRange(added);
            return BeginUnderLock(exchange, thread, added, before, created: false);
        }
    }

    private Answer CreateBoth(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            CheckNames(exchange.Body);
            var thread = ThreadEndpoints.AddUnderLock(core, exchange.Body.Child("thread") ?? []);
            return BeginUnderLock(exchange, thread, [.. thread.Messages], 0, created: true);
        }
    }

    private void CheckNames(JsonObject body)
    {
        var assistant = body.Text("assistant_id")!;
        if (core.Options.AssistantIds.Count > 0 && !core.Options.AssistantIds.Contains(assistant))
        {
            throw ApiException.NoAssistant(assistant);
        }

        if (body.Text("model") is { } model && core.Options.Models.Count > 0 && !core.Options.Models.Contains(model))
        {
            throw ApiException.NoModel(model);
        }
    }

    private Answer BeginUnderLock(Exchange exchange, ThreadEntry thread, JsonObject[] added, int before, bool created)
    {
        var run = new RunEntry(RunObject(exchange.Body, thread.Id)) { FreshFrom = Math.Min(before, thread.SeenMessages) };
        thread.Runs.Add(run);
        thread.SeenMessages = thread.Messages.Count;
        exchange.RunId = run.Id;
        var metadata = run.Body.Metadata();
        var line = new LedgerRun
        {
            Sequence = 0,
            Id = run.Id,
            Api = "assistants",
            ConversationId = thread.Id,
            ThreadKey = thread.Id,
            BatchId = metadata?.GetValueOrDefault("batch_id"),
            Metadata = metadata,
            Instructions = run.Body.Text("instructions"),
            Texts = [.. added.Where(m => m.Text("role") == "user").Select(LedgerLines.TextOf)],
            CreatedAt = core.Now,
            Status = "queued",
            Kept = true,
        };
        core.Ledger.RunAccepted(line, MessageObjects.ForLedger(added, thread.Id, line));
        core.State.Save([.. added.Select(m => ("message", (JsonNode)m)), ("run", run.Body)]);

        run.Work = new RunWork(core, thread, run, exchange.Fault);
        var events = exchange.Body.Flag("stream") ? run.Work.Stream() : null;
        if (created)
        {
            events?.Add("thread.created", thread.Body);
        }

        events?.Add("thread.run.created", run.Body);
        events?.Add("thread.run.queued", run.Body);
        var answer = events is null ? Answer.Json(run.Body) : new StreamAnswer(events, 0, EndsWithDone: true);
        run.Work.Begin();
        return answer;
    }

    private JsonObject RunObject(JsonObject body, string threadId) => new()
    {
        ["id"] = Wire.NewId("run_"),
        ["object"] = "thread.run",
        ["created_at"] = core.Seconds,
        ["assistant_id"] = body.Text("assistant_id"),
        ["thread_id"] = threadId,
        ["status"] = "queued",
        ["started_at"] = null,
        ["expires_at"] = core.Seconds + 600,
        ["cancelled_at"] = null,
        ["failed_at"] = null,
        ["completed_at"] = null,
        ["required_action"] = null,
        ["last_error"] = null,
        ["incomplete_details"] = null,
        ["model"] = body.Text("model") ?? (core.Options.Models.Count > 0 ? core.Options.Models[0] : "gpt-4o"),
        ["instructions"] = string.Join("\n", new[] { body.Text("instructions"), body.Text("additional_instructions") }.Where(i => !string.IsNullOrEmpty(i))),
        ["tools"] = body.Copy("tools") ?? AssistantEndpoints.Tools(core),
        ["metadata"] = body.Copy("metadata") ?? new JsonObject(),
        ["usage"] = null,
        ["temperature"] = body.Copy("temperature") ?? 1.0,
        ["top_p"] = body.Copy("top_p") ?? 1.0,
        ["max_prompt_tokens"] = body.Copy("max_prompt_tokens"),
        ["max_completion_tokens"] = body.Copy("max_completion_tokens"),
        ["truncation_strategy"] = body.Copy("truncation_strategy") ?? new JsonObject { ["type"] = "auto", ["last_messages"] = null },
        ["tool_choice"] = body.Copy("tool_choice") ?? "auto",
        ["parallel_tool_calls"] = body.Flag("parallel_tool_calls", otherwise: true),
        ["response_format"] = body.Copy("response_format") ?? "auto",
    };

    private Answer List(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var shown = core.Seconds - (long)core.Options.RunsListedAfter.TotalSeconds;
            return Answer.Json(Page.Of(exchange, [.. ThreadEndpoints.FindUnderLock(core, exchange).Runs.Select(r => r.Body).Where(r => (long)r["created_at"]! <= shown)]));
        }
    }

    private Answer Get(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var (_, run) = FindUnderLock(core, exchange);
            exchange.RunId = run.Id;
            return Answer.Json(run.Body);
        }
    }

    private Answer Modify(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var (_, run) = FindUnderLock(core, exchange);
            run.Body["metadata"] = exchange.Body.Copy("metadata") ?? new JsonObject();
            core.State.Save(("run", run.Body));
            return Answer.Json(run.Body);
        }
    }

    private Answer Cancel(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var (_, run) = FindUnderLock(core, exchange);
            exchange.RunId = run.Id;
            if (run.IsTerminal || run.Status == "cancelling")
            {
                throw ApiException.CannotCancelRun(run.Status);
            }

            run.Body["status"] = "cancelling";
            core.State.Save(("run", run.Body));
            core.Ledger.RunIs(run.Id, "cancelling");
            run.Work!.Interrupt("cancel");
            return Answer.Json(run.Body);
        }
    }

    private Answer Submit(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var (_, run) = FindUnderLock(core, exchange);
            exchange.RunId = run.Id;
            if (run.Status != "requires_action")
            {
                throw ApiException.NoOutputsWanted(run.Status);
            }

            var step = run.Steps[^1];
            var calls = step.Child("step_details").List("tool_calls")!;
            var wanted = calls.Select(c => c.Text("id")!).ToArray();
            var given = exchange.Body.List("tool_outputs")!.ToLookup(o => o.Text("tool_call_id") ?? "", o => o.Text("output") ?? "");
            if (!wanted.ToHashSet().SetEquals(given.Select(g => g.Key)))
            {
                throw ApiException.OtherOutputsWanted(wanted, given.Select(g => g.Key));
            }

            foreach (var call in calls)
            {
                call.Child("function")!["output"] = given[call.Text("id")!].First();
            }

            step["status"] = "completed";
            step["completed_at"] = core.Seconds;
            run.Body["required_action"] = null;
            run.Body["status"] = "queued";
            core.State.Save(("step", step), ("run", run.Body));
            core.Ledger.OutputsGiven(run.Id, given.ToDictionary(g => g.Key, g => g.First()));

            var events = exchange.Body.Flag("stream") ? run.Work!.Stream() : null;
            events?.Add("thread.run.step.completed", step);
            events?.Add("thread.run.queued", run.Body);
            var answer = events is null ? Answer.Json(run.Body) : new StreamAnswer(events, 0, EndsWithDone: true);
            run.Work!.GoOnWithOutputs();
            return answer;
        }
    }
}
