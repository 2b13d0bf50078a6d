using AssistantQueue.OpenAI.Responses;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>What the model said beside its calls, until the reply has it.</summary>
public class SaidBeforeTests
{
    private readonly RunJournal _journal = new();

    [Fact]
    public void PutBefore_RoundsInTheirOrder_AlsoForTheNextOwner()
    {
        var said = new SaidBefore(_journal);
        said.Add("c1", [new TextContent("One.")]);
        said.Add("c2", []);
        said.Add("c3", [new TextContent("Two.")]);
        // a response that is looked at again
        said.Add("c3", [new TextContent("Two.")]);

        foreach (var owner in (SaidBefore[])[said, new SaidBefore(_journal)])
        {
            var reply = owner.PutBefore(new RunCompleted { Text = "Three.", Contents = [new TextContent("Three.")], RunId = "resp_1" });
            Assert.Equal(("One.\n\nTwo.\n\nThree.", "resp_1"), (reply.Text, reply.RunId));
            Assert.Equal(["One.", "Two.", "Three."], reply.Contents.Cast<TextContent>().Select(c => c.Text));
        }
    }

    [Fact]
    public void Add_ARoundWithALargePicture_KeepsItsTextForTheNextOwner()
    {
        var said = new SaidBefore(_journal);
        said.Add("c1", [new TextContent("Here it is."), new DataContent(new byte[100_000], "image/png")]);

        Assert.Equal(3, said.PutBefore(Done).Contents.Count);
        Assert.Equal("Here it is.\n\nDone.", new SaidBefore(_journal).PutBefore(Done).Text);
        Assert.Equal(2, new SaidBefore(_journal).PutBefore(Done).Contents.Count);
    }

    [Fact]
    public void Interruption_HasToldWhatWasSaid_SoTheNextRunDoesNot()
    {
        new SaidBefore(_journal).Add("c1", [new TextContent("One.")]);
        _journal.Interruptions++;

        Assert.Equal("Done.", new SaidBefore(_journal).PutBefore(Done).Text);
    }

    private static RunCompleted Done => new() { Text = "Done.", Contents = [new TextContent("Done.")] };
}
