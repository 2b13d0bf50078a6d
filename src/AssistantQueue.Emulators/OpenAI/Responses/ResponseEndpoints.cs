using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Responses: create (foreground, background, streamed), get (also as a stream again), cancel, delete, input items.</summary>
internal sealed class ResponseEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes)
    {
        routes.Add("POST", "responses", "create_response", CreateAsync, ResponsesRules.CreateResponse);
        routes.Add("GET", "responses/{response_id}", "get_response", Get);
        routes.Add("DELETE", "responses/{response_id}", "delete_response", Delete);
        routes.Add("POST", "responses/{response_id}/cancel", "cancel_response", Cancel);
        routes.Add("GET", "responses/{response_id}/input_items", "list_input_items", ListInput);
    }

    private async Task<Answer> CreateAsync(Exchange exchange)
    {
        ResponseEntry response;
        ResponseWork work;
        lock (core.State.Gate)
        {
            response = AddUnderLock(exchange, out var conversation, out var prompt);
            response.Work = work = new ResponseWork(core, response, conversation, prompt, exchange.Fault);
            var queued = response.Background ? Answer.Json(response.Body) : null;
            work.BeginUnderLock();
            if (response.Streamed)
            {
                return new StreamAnswer(work.Events!, 0, EndsWithDone: false, response.Background ? null : () => work.Lose(core.Options.LostStream));
            }

            if (queued is not null)
            {
                return queued;
            }
        }

        try
        {
            await work.Ended.WaitAsync(exchange.Aborted).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (exchange.Aborted.IsCancellationRequested)
        {
            work.Lose(core.Options.LostForeground);
            throw;
        }

        lock (core.State.Gate)
        {
            return Answer.Json(response.Body);
        }
    }

    private ResponseEntry AddUnderLock(Exchange exchange, out ConversationEntry? conversation, out Prompt prompt)
    {
        var body = exchange.Body;
        var model = body.Text("model")!;
        if (core.Options.Models.Count > 0 && !core.Options.Models.Contains(model))
        {
            throw ApiException.NoModel(model);
        }

        conversation = (body.Text("conversation") ?? body.Child("conversation").Text("id")) is { } id ? ConversationEndpoints.FindUnderLock(core, id) : null;
        if (conversation?.Active is not null)
        {
            throw ApiException.ConversationLocked();
        }

        var previous = body.Text("previous_response_id");
        if (previous is not null && core.State.Responses.GetValueOrDefault(previous) is not { IsVisible: true })
        {
            throw ApiException.NoPrevious(previous);
        }

        var history = History.Of(core.State, conversation, previous);
        var input = ItemObjects.FromInput(body["input"], wanted => history.Find(i => i.Text("id") == wanted));
        History.Check(history, input);
        var response = new ResponseEntry(new JsonObject
        {
            ["body"] = ResponseObject(body, conversation?.Id),
            ["input"] = Wire.ArrayOf(input),
            ["streamed"] = body.Flag("stream"),
        });
        prompt = ResponseWork.PromptOf(core, response, history);
        if (EchoModel.Answer(prompt).Refused)
        {
            throw ApiException.InvalidPrompt();
        }

        core.State.Responses[response.Id] = response;
        exchange.RunId = response.Id;
        if (conversation is not null && (!response.Background || core.Options.BackgroundLocksConversation))
        {
            conversation.Active = response;
        }

        Write(response, conversation, previous);
        if (response.Background)
        {
            core.State.Save(("response", response.Document));
        }

        if (conversation is not null && core.Options.ItemsVisible == ItemsVisible.AtOnce)
        {
            ConversationItemEndpoints.SaveUnderLock(core, conversation, [.. response.Input.Select(i => i.DeepClone().AsObject())]);
            core.Ledger.InputKept(response.Id);
        }

        return response;
    }

    private void Write(ResponseEntry response, ConversationEntry? conversation, string? previous)
    {
        var key = conversation?.Id ?? (previous is null ? response.Id : History.RootOf(core.State, previous));
        var metadata = response.Body.Metadata();
        var users = response.Input.Where(ItemObjects.IsUser).Select(LedgerLines.TextOf).ToArray();
        var run = new LedgerRun
        {
            Sequence = 0,
            Id = response.Id,
            Api = "responses",
            ConversationId = conversation?.Id,
            PreviousResponseId = previous,
            ThreadKey = key,
            BatchId = metadata?.GetValueOrDefault("batch_id"),
            Metadata = metadata,
            Instructions = response.Body.Text("instructions"),
            Texts = users,
            ToolOutputs = response.Input.Where(i => i.Text("type") == "function_call_output").ToDictionary(i => i.Text("call_id")!, ItemObjects.OutputOf) is { Count: > 0 } outputs ? outputs : null,
            CreatedAt = core.Now,
            Status = response.Status,
        };
        core.Ledger.RunAccepted(run, users.Select(text => new LedgerMessage
        {
            Sequence = 0,
            Text = text,
            ThreadKey = key,
            ConversationId = conversation?.Id,
            RunId = response.Id,
            BatchId = run.BatchId,
        }));
    }

    private JsonObject ResponseObject(JsonObject body, string? conversationId)
    {
        var response = new JsonObject
        {
            ["id"] = Wire.NewId("resp_"),
            ["object"] = "response",
            ["created_at"] = core.Seconds,
            ["status"] = body.Flag("background") ? "queued" : "in_progress",
            ["background"] = body.Flag("background"),
            ["completed_at"] = null,
            ["error"] = null,
            ["incomplete_details"] = null,
            ["instructions"] = body.Copy("instructions"),
            ["max_output_tokens"] = body.Copy("max_output_tokens"),
            ["max_tool_calls"] = body.Copy("max_tool_calls"),
            ["model"] = body.Text("model"),
            ["output"] = new JsonArray(),
            ["parallel_tool_calls"] = body.Flag("parallel_tool_calls", otherwise: true),
            ["previous_response_id"] = body.Copy("previous_response_id"),
            ["reasoning"] = body.Copy("reasoning") ?? new JsonObject { ["effort"] = null, ["summary"] = null },
            ["service_tier"] = body.Copy("service_tier") ?? "default",
            ["store"] = body.Flag("store", otherwise: true),
            ["temperature"] = body.Copy("temperature") ?? 1.0,
            ["text"] = body.Copy("text") ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
            ["tool_choice"] = body.Copy("tool_choice") ?? "auto",
            ["tools"] = body.Copy("tools") ?? new JsonArray(),
            ["top_p"] = body.Copy("top_p") ?? 1.0,
            ["truncation"] = body.Copy("truncation") ?? "disabled",
            ["metadata"] = body.Copy("metadata") ?? new JsonObject(),
        };
        if (conversationId is not null)
        {
            response["conversation"] = new JsonObject { ["id"] = conversationId };
        }

        foreach (var name in new[] { "user", "safety_identifier", "prompt_cache_key", "top_logprobs" })
        {
            if (body.Copy(name) is { } value)
            {
                response[name] = value;
            }
        }

        return response;
    }

    private Answer Get(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var response = FindUnderLock(exchange);
            if (exchange.Query("stream") != "true")
            {
                return Answer.Json(response.Body);
            }

            if (!response.Background || !response.Streamed)
            {
                throw ApiException.NotStreamed();
            }

            var after = exchange.Query("starting_after");
            if (after is not null && !int.TryParse(after, out _))
            {
                throw new ApiException(400, $"Invalid type for 'starting_after': expected an integer, but got '{after}' instead.", "invalid_type", "starting_after");
            }

            return new StreamAnswer(response.Work?.Events ?? ResponseEvents.Replay(response.Body), after is null ? 0 : int.Parse(after, System.Globalization.CultureInfo.InvariantCulture) + 1, EndsWithDone: false);
        }
    }

    private Answer Cancel(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var response = FindUnderLock(exchange);
            if (!response.Background)
            {
                throw ApiException.CannotCancelResponse();
            }

            if (!response.IsTerminal)
            {
                response.Work!.CancelUnderLock();
            }

            return Answer.Json(response.Body);
        }
    }

    private Answer Delete(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var response = FindUnderLock(exchange);
            if (!response.IsTerminal)
            {
                response.Work!.CancelUnderLock();
            }

            core.State.Responses.Remove(response.Id);
            core.State.Save(("response_deleted", new JsonObject { ["id"] = response.Id }));
            return Answer.Json(new JsonObject { ["id"] = response.Id, ["object"] = "response.deleted", ["deleted"] = true });
        }
    }

    private Answer ListInput(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            return Answer.Json(Page.Of(exchange, [.. FindUnderLock(exchange).Input]));
        }
    }

    private ResponseEntry FindUnderLock(Exchange exchange)
    {
        var id = exchange.Argument("response_id");
        return core.State.Responses.GetValueOrDefault(id) is { IsVisible: true } response ? response : throw ApiException.NoResponse(id);
    }
}
