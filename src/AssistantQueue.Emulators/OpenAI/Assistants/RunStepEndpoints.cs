namespace AssistantQueue.Emulators;

/// <summary>Steps of a run: list, get.</summary>
internal sealed class RunStepEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes)
    {
        routes.Add("GET", "threads/{thread_id}/runs/{run_id}/steps", "list_run_steps", List);
        routes.Add("GET", "threads/{thread_id}/runs/{run_id}/steps/{step_id}", "get_run_step", Get);
    }

    private Answer List(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            return Answer.Json(Page.Of(exchange, RunEndpoints.FindUnderLock(core, exchange).Run.Steps));
        }
    }

    private Answer Get(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var id = exchange.Argument("step_id");
            return Answer.Json(RunEndpoints.FindUnderLock(core, exchange).Run.Steps.Find(s => s.Text("id") == id) ?? throw ApiException.NoStep(id));
        }
    }
}
